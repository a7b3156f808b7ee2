#pragma once

#include "core/error.hpp"
#include "setup/context.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::run {

/// Mode eval: scores the checkpoint of --checkpoint_path, else the newest of the model_dir. Mode eval_all:
/// every checkpoint of the model_dir. Prints a line for each and writes them to <model_dir>/evaluation.h5, or
/// if that is there evaluation_<n>.h5, in the format of metrics.h5. Collective; all ranks throw the same errors.
void run_evaluation(const setup::Context& context);

/// What is said when there is nothing to evaluate.
StoreError no_checkpoint(const store::ModelDir& model_dir);

}  // namespace fcmnist::run
