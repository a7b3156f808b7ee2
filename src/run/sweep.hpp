#pragma once

#include "core/error.hpp"
#include "run/stop_signals.hpp"
#include "setup/context.hpp"

namespace fcmnist::run {

/// Mode sweep: trains the trials of the section `sweep`, each in a folder of its own below the model_dir, by groups of
/// ranks side by side, and writes what came of them to sweep.h5. Trials that have ended are left alone, the others go
/// on. Returns done when all have ended, stopped when the same command is to go on. Collective.
ExitCode run_sweep(const setup::Context& context, StopSignals& signals);

}  // namespace fcmnist::run
