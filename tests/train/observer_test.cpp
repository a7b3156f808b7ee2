#include "train/observer.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "comm/clock.hpp"

namespace fcmnist::train {
namespace {

/// Busy until the clock has moved on by a measurable time.
void pass_some_time() {
  const double begin_s = comm::now_s();
  while (comm::now_s() - begin_s < 2e-5) continue;
}

void live_a_step(StepObserver& observer) {
  observer.begin_step();
  for (std::size_t a = 0; a < static_cast<std::size_t>(Activity::count); ++a) {
    pass_some_time();
    observer.has_done(static_cast<Activity>(a));
  }
}

TEST(StepObserver, EveryActivityCountsForOnePartOfTheStep) {
  StepObserver observer;
  live_a_step(observer);
  double all_s = 0.0;
  for (std::size_t a = 0; a < static_cast<std::size_t>(Activity::count); ++a) {
    EXPECT_GT(observer.seconds(static_cast<Activity>(a)), 0.0) << a;
    all_s += observer.seconds(static_cast<Activity>(a));
  }
  const TimeSplit time = observer.time();
  EXPECT_NEAR(time.step_s(), all_s, 1e-12);
  EXPECT_EQ(time.data_s, observer.seconds(Activity::data));
  EXPECT_NEAR(time.compute_s,
              observer.seconds(Activity::forward) + observer.seconds(Activity::deltas) +
                  observer.seconds(Activity::weight_gradient),
              1e-12);
}

TEST(StepObserver, AStepBeginsWithNothing) {
  StepObserver observer;
  live_a_step(observer);
  observer.begin_step();
  EXPECT_EQ(observer.time().step_s(), 0.0);
}

TEST(StepObserver, OneStageHasNoTimesToShare) {
  StepObserver observer;
  live_a_step(observer);
  EXPECT_EQ(observer.stage_time_count(), 0U);
  EXPECT_TRUE(observer.pipeline().busy_s.empty());
}

TEST(StepObserver, StagesAreBusyWhileTheyDoNotWaitForEachOther) {
  StepObserver first(2, 0), second(2, 1);
  live_a_step(first);
  live_a_step(second);
  std::vector<double> of_first(first.stage_time_count()), of_second(second.stage_time_count());
  first.put_stage_times(of_first);
  second.put_stage_times(of_second);
  std::vector<double> sums(of_first.size());
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = of_first[i] + of_second[i];
  first.take_stage_times(sums);
  ASSERT_EQ(first.pipeline().busy_s.size(), 2U);
  const auto outside_s = [](const StepObserver& o) {
    return o.seconds(Activity::wait) + o.seconds(Activity::sum) + o.seconds(Activity::update);
  };
  EXPECT_NEAR(first.pipeline().total_s, first.time().step_s() - outside_s(first), 1e-12);
  EXPECT_NEAR(first.pipeline().busy_s[1],
              second.time().step_s() - outside_s(second) - second.seconds(Activity::receive), 1e-12);
}

}  // namespace
}  // namespace fcmnist::train
