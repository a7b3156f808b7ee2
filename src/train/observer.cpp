#include "train/observer.hpp"

namespace fcmnist::train {

StepObserver::StepObserver(int stages, int stage)
    : stages_(static_cast<std::size_t>(stages)), stage_(static_cast<std::size_t>(stage)) {
  if (stages > 1) pipeline_.busy_s.assign(stages_, 0.0);
}

void StepObserver::begin_step() {
  seconds_.fill(0.0);
  watch_.lap_s();
}

TimeSplit StepObserver::time() const {
  return {.data_s = seconds(Activity::data),
          .compute_s =
              seconds(Activity::forward) + seconds(Activity::deltas) + seconds(Activity::weight_gradient),
          .exchange_s = seconds(Activity::receive) + seconds(Activity::send) + seconds(Activity::post) +
                        seconds(Activity::wait) + seconds(Activity::sum) + seconds(Activity::update),
          .wait_s = seconds(Activity::wait),
          .sum_s = seconds(Activity::sum),
          .update_s = seconds(Activity::update)};
}

double StepObserver::in_pipeline_s() const {
  return time().step_s() - seconds(Activity::wait) - seconds(Activity::sum) - seconds(Activity::update);
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
