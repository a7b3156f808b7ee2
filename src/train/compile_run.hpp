#pragma once

#include "train/run_context.hpp"

namespace fcmnist::train {

/// --compile_only: checks all that a training run would, measures what is fastest on this world, prints it,
/// and writes it to <model_dir>/plan.yaml. Trains nothing. Collective; all ranks throw the same errors.
void run_compile(const RunContext& context);

}  // namespace fcmnist::train
