#pragma once

#include "train/run_context.hpp"

namespace fcmnist::train {

/// Modes train and train_and_eval: starts or resumes the run of the model_dir and brings it to its end.
/// Collective; all ranks throw the same errors.
void run_training(RunContext& context);

}  // namespace fcmnist::train
