#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "train/span_recorder.hpp"
#include "train/step_time.hpp"

namespace fcmnist::train {

/// Accounts for the time of one rank's steps. Whoever has done something for the step says so when it is
/// over: the time since the last such call belongs to it.
class StepObserver {
 public:
  explicit StepObserver(int stages = 1, int stage = 0);

  void begin_step();
  /// What is done from here on is done for this microbatch, or for none of them.
  void set_microbatch(std::int64_t microbatch) { microbatch_ = microbatch; }
  ///   layer  the one that it was done for, counted over the network, if it was one
  void has_done(Activity activity, std::int64_t layer = SpanRecorder::none) {
    const double lap_s = watch_.lap_s();
    seconds_[static_cast<std::size_t>(activity)] += lap_s;
    if (recorder_ != nullptr)
      recorder_->add(activity, watch_.last_s() - lap_s, watch_.last_s(), microbatch_, layer);
  }
  /// From here on everything that is done is a span of this recorder as well; nullptr: it is not any more.
  void record_into(SpanRecorder* recorder) { recorder_ = recorder; }

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
  std::int64_t microbatch_ = SpanRecorder::none;
  SpanRecorder* recorder_ = nullptr;
  std::array<double, static_cast<std::size_t>(Activity::count)> seconds_{};
  PipelineTime pipeline_;
};

}  // namespace fcmnist::train
