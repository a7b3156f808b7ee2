#pragma once

#include "core/error.hpp"
#include "store/model_dir.hpp"
#include "train/run_context.hpp"

namespace fcmnist::train {

/// Mode eval: scores the checkpoint of --checkpoint_path, else the newest of the model_dir. Mode eval_all:
/// every checkpoint of the model_dir. Prints a line for each and writes <model_dir>/evaluation.h5, in the
/// format of metrics.h5. Collective; all ranks throw the same errors.
void run_evaluation(RunContext& context);

/// What is said when there is nothing to evaluate.
StoreError no_checkpoint(const store::ModelDir& model_dir);

}  // namespace fcmnist::train
