#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "train/microbatch_schedule.hpp"

namespace fcmnist::train {

/// What one microbatch takes on a stage, in seconds.
struct StageTimes {
  double forward_s = 0.0;
  double deltas_s = 0.0;   ///< backward, until the stage before can go on
  double weights_s = 0.0;  ///< the rest of backward

  [[nodiscard]] double total_s() const { return forward_s + deltas_s + weights_s; }
};

/// Seconds that a pipeline needs for `count` microbatches by microbatch_schedule() when messages take
/// `message_s` each and cost the stages nothing.
///   stages  times of each, in order
double pipeline_makespan(std::span<const StageTimes> stages, std::size_t count, double message_s = 0.0);

}  // namespace fcmnist::train
