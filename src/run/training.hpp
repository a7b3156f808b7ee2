#pragma once

#include "core/error.hpp"
#include "run/stop_signals.hpp"
#include "setup/context.hpp"

namespace fcmnist::run {

/// Modes train and train_and_eval: starts or resumes the run of the model_dir and brings it to its end.
/// Returns done, or stopped when a signal or runconfig.max_time ended it before; then all that is needed to
/// go on is durable. Collective; all ranks throw the same errors.
ExitCode run_training(const setup::Context& context, StopSignals& signals);

}  // namespace fcmnist::run
