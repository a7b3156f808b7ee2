#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace fcmnist::plan {

/// Seconds that one rank takes for one microbatch.
struct StageTime {
  double data_s = 0.0;     ///< it gathers the samples; only the first stage does
  double forward_s = 0.0;  ///< forward pass, and on the last stage the loss
  double deltas_s = 0.0;   ///< first half of the backward pass, after which the gradient by the input leaves
  double weights_s = 0.0;  ///< second half of the backward pass: the gradients of the weights

  [[nodiscard]] double total_s() const { return data_s + forward_s + deltas_s + weights_s; }
};

/// When the stages of a replica are done with a step.
struct PipelineForecast {
  std::vector<double> end_s;  ///< for each stage, when the backward pass of its last microbatch is done
  double total_s = 0.0;       ///< the latest of these times
  double bubble_fraction = 0.0;
};

/// Lets the stages compute the microbatches of a step in the order of train::microbatch_schedule().
///   link_s  seconds of a message between two neighbour stages, in either direction; there is one link less
///           than there are stages
PipelineForecast simulate_pipeline(std::span<const StageTime> stages, std::span<const double> link_s,
                                   std::size_t microbatches);

}  // namespace fcmnist::plan
