#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/metrics_rows.hpp"
#include "store/model_dir.hpp"
#include "train/run_log.hpp"

namespace fcmnist::train {

/// What a run says when its last step is done, line by line.
///   peak_bytes       largest memory of a rank
///   last_evaluation  nullptr without evaluations
std::vector<std::string> done_lines(std::int64_t total_steps, const Progress& progress, double peak_bytes,
                                    const store::EvalRow* last_evaluation, const store::ModelDir& model_dir);

/// What it says when it is started once more after that.
std::string finished_line(std::int64_t steps_done, std::int64_t total_steps,
                          const store::ModelDir& model_dir);

}  // namespace fcmnist::train
