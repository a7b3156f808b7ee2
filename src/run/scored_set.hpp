#pragma once

#include <string>
#include <string_view>

#include "config/run_config.hpp"

namespace fcmnist::run {

/// What evaluations score, as the log calls it: "test accuracy" if `what` is "accuracy" and eval_input names
/// the test split; else "accuracy on the train split", "accuracy on the first 2 batches of the test split", ...
/// scripts/fcmnist_analysis/files.py has the same words.
std::string scored(std::string_view what, const config::RunConfig& config);

/// What follows in a line that does not say "test": "" for the test split, else " Split=train".
std::string split_mark(const config::RunConfig& config);

}  // namespace fcmnist::run
