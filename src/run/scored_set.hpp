#pragma once

#include <string>
#include <string_view>

#include "config/run_config.hpp"

namespace fcmnist::run {

/// What evaluations score, as the log calls it: "test accuracy" if `what` is "accuracy" and eval_input names
/// the test split; else "accuracy on the train split", "accuracy on the first 2 batches of the test split", ...; with
/// average_shifts "test accuracy, averaged over 9 shifts,".
/// scripts/fcmnist_analysis/files.py has the same words.
std::string scored(std::string_view what, const config::RunConfig& config);

/// What follows in a line that does not say so: "" for the test split as it is, else " Split=train", " Shifts=9" or both.
std::string scored_marks(const config::RunConfig& config);

/// What manifests say of scores of the average of the weights.
inline constexpr std::string_view averaged_weights = "averaged";

/// The mark of a line about one of two scores, of the weights and of their average.
std::string weights_mark(data::ScoredWeights weights);

}  // namespace fcmnist::run
