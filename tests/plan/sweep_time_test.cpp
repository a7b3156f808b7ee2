#include "plan/sweep_time.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace fcmnist::plan {
namespace {

constexpr long no_rungs[] = {0};

double without_rungs(const std::vector<TrialWork>& trials, int groups) {
  return sweep_seconds(trials, trials.size(), groups, std::span(no_rungs).first(0), 3);
}

TEST(SweepTime, EqualTrialsTakeTurns) {
  const std::vector<TrialWork> trials(6, {.step_s = 0.5, .from_step = 0, .to_step = 10});
  EXPECT_DOUBLE_EQ(without_rungs(trials, 1), 30.0);
  EXPECT_DOUBLE_EQ(without_rungs(trials, 2), 15.0);
  EXPECT_DOUBLE_EQ(without_rungs(trials, 4), 10.0);
  EXPECT_DOUBLE_EQ(without_rungs(trials, 9), 5.0);
}

TEST(SweepTime, AGroupThatIsDoneTakesOverFromTheEnd) {
  // Group 0 would train 0, 2, 4, and group 1 trials 1, 3, 5. After 1 s group 1 trains its own 3 and 5, then 4 and 2.
  const std::vector<TrialWork> trials = {{9.0, 0, 1}, {1.0, 0, 1}, {1.0, 0, 1},
                                         {1.0, 0, 1}, {1.0, 0, 1}, {1.0, 0, 1}};
  EXPECT_DOUBLE_EQ(without_rungs(trials, 2), 9.0);
}

TEST(SweepTime, WhatIsTrainedAlreadyTakesNoTime) {
  EXPECT_DOUBLE_EQ(without_rungs({{1.0, 7, 10}, {1.0, 10, 10}, {1.0, 12, 10}}, 1), 3.0);
  EXPECT_DOUBLE_EQ(without_rungs({}, 2), 0.0);
}

TEST(SweepTime, RungsLeaveSomeTrials) {
  const std::vector<TrialWork> trials(9, {.step_s = 1.0, .from_step = 0, .to_step = 9});
  const long rungs[] = {1, 3};
  EXPECT_DOUBLE_EQ(sweep_seconds(trials, 9, 1, rungs, 3), 9 * 1 + 3 * 2 + 1 * 6);
  EXPECT_DOUBLE_EQ(sweep_seconds(trials, 9, 3, rungs, 3), 3 * 1 + 1 * 2 + 1 * 6);
}

TEST(SweepTime, OfTrialsThatWentOnARungCountsTheRestOnly) {
  const long rungs[] = {4};
  EXPECT_DOUBLE_EQ(sweep_seconds(std::vector<TrialWork>(3, {1.0, 3, 10}), 3, 1, rungs, 3), 3 * 1 + 6);
  EXPECT_DOUBLE_EQ(sweep_seconds(std::vector<TrialWork>(1, {1.0, 6, 10}), 3, 1, rungs, 3), 4.0);
}

TEST(SweepTime, ARungThatWasPassedDropsNobodyOnceMore) {
  const long rungs[] = {10, 40};
  const std::vector<TrialWork> open(
      9, {.step_s = 1.0, .from_step = 10, .to_step = 100});  // of 27, 18 are dropped
  EXPECT_DOUBLE_EQ(sweep_seconds(open, 27, 1, rungs, 3), 9 * 30 + 3 * 60);
}

TEST(SweepTime, TrialsShorterThanARungEndThere) {
  const long rungs[] = {5, 50};
  EXPECT_DOUBLE_EQ(sweep_seconds(std::vector<TrialWork>(2, {1.0, 0, 3}), 2, 1, rungs, 2), 6.0);
}

}  // namespace
}  // namespace fcmnist::plan
