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

/// The activities before this one are those of a step.
constexpr auto after_step = static_cast<std::size_t>(Activity::check);

void live_a_step(StepObserver& observer) {
  observer.begin_step();
  for (std::size_t a = 0; a < after_step; ++a) {
    pass_some_time();
    observer.has_done(static_cast<Activity>(a));
  }
}

TEST(StepObserver, EveryActivityCountsForOnePartOfTheStep) {
  StepObserver observer;
  live_a_step(observer);
  double all_s = 0.0;
  for (std::size_t a = 0; a < after_step; ++a) {
    EXPECT_GT(observer.seconds(static_cast<Activity>(a)), 0.0) << a;
    all_s += observer.seconds(static_cast<Activity>(a));
  }
  const TimeSplit time = observer.time();
  EXPECT_NEAR(time.step_s(), all_s, 1e-12);
  EXPECT_EQ(time.data_s, observer.seconds(Activity::data));
  EXPECT_NEAR(time.compute_s,
              observer.seconds(Activity::forward) + observer.seconds(Activity::loss) +
                  observer.seconds(Activity::delta) + observer.seconds(Activity::weight_gradient),
              1e-12);
}

TEST(StepObserver, WhatIsDoneIsASpanWhileItRecords) {
  StepObserver observer;
  SpanRecorder recorder(3, 100);
  live_a_step(observer);
  observer.record_into(&recorder);
  recorder.set_step(7);
  observer.begin_step();
  observer.set_microbatch(2);
  pass_some_time();
  observer.has_done(Activity::delta, 1);
  observer.set_microbatch(SpanRecorder::none);
  pass_some_time();
  observer.has_done(Activity::wait);
  observer.record_into(nullptr);
  live_a_step(observer);

  ASSERT_EQ(recorder.spans().size(), 2U);
  const store::Span &delta = recorder.spans()[0], &wait = recorder.spans()[1];
  EXPECT_EQ(delta.step, 7);
  EXPECT_EQ(delta.rank, 3);
  EXPECT_EQ(delta.microbatch, 2);
  EXPECT_EQ(delta.layer, 1);
  EXPECT_EQ(activity_names()[delta.activity], "delta");
  EXPECT_EQ(wait.microbatch, -1);
  EXPECT_EQ(wait.layer, -1);
  EXPECT_EQ(activity_names()[wait.activity], "wait");
  EXPECT_GE(delta.end_s - delta.begin_s, 2e-5);
  EXPECT_GE(wait.begin_s, delta.end_s);
}

TEST(SpanRecorder, LeavesOutThatNothingWasDone) {
  SpanRecorder recorder(0, 10);
  recorder.add(Activity::receive, 1.0, 1.0 + 1e-7);
  recorder.add(Activity::forward, 1.0, 1.0 + 1e-7, 0, 2);  // a small layer
  recorder.add(Activity::receive, 1.0, 1.0 + 3e-7);
  recorder.add(Activity::update, 1.0, 1.0 + 1e-7);
  ASSERT_EQ(recorder.spans().size(), 3U);
  EXPECT_EQ(recorder.spans()[0].layer, 2);
  EXPECT_EQ(activity_names()[recorder.spans()[2].activity], "update");
}

TEST(SpanRecorder, KnowsWhichStepsAreWhole) {
  SpanRecorder recorder(0, 3);
  for (std::int64_t step = 11; step <= 12; ++step) {
    recorder.set_step(step);
    recorder.add(Activity::forward, 1.0, 2.0);
  }
  EXPECT_EQ(recorder.last_whole_step(), 12);
  recorder.add(Activity::delta, 2.0, 3.0);
  EXPECT_EQ(recorder.last_whole_step(), 12);
  recorder.set_step(13);
  recorder.add(Activity::forward, 3.0, 4.0);
  EXPECT_EQ(recorder.last_whole_step(), 11) << "the last span kept is of step 12, which may lack more";
  EXPECT_EQ(recorder.spans().size(), 3U);
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
    return o.time().wait_s + o.time().sum_s + o.time().update_s;
  };
  EXPECT_NEAR(first.pipeline().total_s, first.time().step_s() - outside_s(first), 1e-12);
  EXPECT_NEAR(first.pipeline().busy_s[1],
              second.time().step_s() - outside_s(second) - second.seconds(Activity::receive), 1e-12);
}

}  // namespace
}  // namespace fcmnist::train
