#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "train/step_time.hpp"

namespace fcmnist::train {

/// What a rank does in a step, one after the other.
enum class Activity : std::size_t {
  data,             ///< gathers and normalises samples
  receive,          ///< waits for a message of a neighbour stage
  forward,          ///< forward pass and loss
  send,             ///< hands a message to a neighbour stage
  deltas,           ///< backward pass, first half
  weight_gradient,  ///< backward pass, second half
  post,             ///< hands over a part of the gradient, and moves messages on
  wait,             ///< waits for the gradients of all ranks
  sum,              ///< sums what must be known before the update
  update,           ///< updates weights, and takes those of the other ranks
  count
};

/// Accounts for the time of one rank's steps. Whoever has done something for the step says so when it is
/// over: the time since the last such call belongs to it.
class StepObserver {
 public:
  explicit StepObserver(int stages = 1, int stage = 0);

  void begin_step();
  void has_done(Activity activity) { seconds_[static_cast<std::size_t>(activity)] += watch_.lap_s(); }

  /// Of this step.
  [[nodiscard]] double seconds(Activity activity) const {
    return seconds_[static_cast<std::size_t>(activity)];
  }
  [[nodiscard]] TimeSplit time() const;

  /// The times of the stages of a replica travel as numbers that are summed over its stages: as many of them.
  [[nodiscard]] std::size_t stage_time_count() const { return stages_ > 1 ? stages_ + 1 : 0; }
  /// Writes those of this stage.
  void put_stage_times(std::span<double> numbers) const;
  /// Takes the sums. From then on pipeline() is that of this step.
  void take_stage_times(std::span<const double> sums);
  [[nodiscard]] const PipelineTime& pipeline() const { return pipeline_; }

 private:
  /// From the first forward to the last backward of this stage.
  [[nodiscard]] double in_pipeline_s() const;

  std::size_t stages_, stage_;
  Stopwatch watch_;
  std::array<double, static_cast<std::size_t>(Activity::count)> seconds_{};
  PipelineTime pipeline_;
};

}  // namespace fcmnist::train
