#pragma once

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "setup/context.hpp"

namespace fcmnist::run {

/// What is said when the mode does not train.
UsageError nothing_to_plan(config::Mode mode);

/// --compile_only: checks all that a training run would, measures what is fastest on this world, prints it,
/// and writes it to <model_dir>/plan.yaml. Trains nothing. Collective; all ranks throw the same errors.
void run_compile(const setup::Context& context);

}  // namespace fcmnist::run
