#include "train/observer.hpp"

namespace fcmnist::train {

StepObserver::StepObserver(int stages, int stage)
    : stages_(static_cast<std::size_t>(stages)), stage_(static_cast<std::size_t>(stage)) {
  if (stages > 1) pipeline_.busy_s.assign(stages_, 0.0);
}

void StepObserver::begin_step() {
  seconds_.fill(0.0);
  microbatch_ = SpanRecorder::none;
  watch_.lap_s();
}

TimeSplit StepObserver::time() const {
  const auto total_of = [&](auto... activities) { return (seconds(activities) + ...); };
  using enum Activity;
  TimeSplit time{.data_s = seconds(data),
                 .compute_s = total_of(forward, loss, delta, weight_gradient),
                 .wait_s = total_of(wait, combine),
                 .exposed_s = seconds(combine),
                 .sum_s = seconds(sum),
                 .update_s = total_of(update, publish, copy)};
  time.exchange_s = total_of(receive, send, post) + time.wait_s + time.sum_s + time.update_s;
  return time;
}

double StepObserver::in_pipeline_s() const {
  const TimeSplit split = time();
  return split.step_s() - split.wait_s - split.sum_s - split.update_s;
}

void StepObserver::put_stage_times(std::span<double> numbers) const {
  if (numbers.empty()) return;
  numbers[stage_] = in_pipeline_s() - seconds(Activity::receive);
  if (stage_ == 0) numbers[stages_] = in_pipeline_s();
}

void StepObserver::take_stage_times(std::span<const double> sums) {
  if (sums.empty()) return;
  for (std::size_t s = 0; s < stages_; ++s) pipeline_.busy_s[s] = sums[s];
  pipeline_.total_s = sums[stages_];
}

}  // namespace fcmnist::train
