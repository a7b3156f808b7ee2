#pragma once

#include <cstdint>

#include "data/dataset.hpp"
#include "setup/context.hpp"
#include "store/predictions_file.hpp"
#include "train/evaluator.hpp"

namespace fcmnist::run {

/// Mode eval: scores the checkpoint of --checkpoint_path, else the newest of the model_dir, and writes what it
/// says about each sample to a file beside the one below. Mode eval_all: every checkpoint of the model_dir.
/// Prints a line for each and writes them to <model_dir>/evaluation.h5, or if that is there
/// evaluation_<n>.h5, in the format of metrics.h5. Several checkpoints in --checkpoint_path: see run_ensemble().
/// Collective; all ranks throw the same errors.
void run_evaluation(const setup::Context& context);

/// What a result with logits says about each sample of its data set.
store::Predictions predictions_of(std::int64_t step, const data::Dataset& dataset,
                                  const train::EvaluationResult& result);

}  // namespace fcmnist::run
