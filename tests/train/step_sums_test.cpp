#include "train/step_sums.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace fcmnist::train {
namespace {

/// What all ranks know when each had these sums.
StepSums over_ranks(const std::vector<StepSums>& ranks) {
  std::array<double, StepSums::count> sums{};
  for (const StepSums& rank : ranks) {
    const auto numbers = rank.numbers();
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += numbers[i];
  }
  return StepSums(sums);
}

TEST(StepSums, AddUpLossesAndCorrectSamplesOfAllRanks) {
  StepSums first{Requests{}}, second{Requests{}};
  first.add({1.5, 3});
  first.add({0.25, 0});
  second.add({2.0, 4});
  const StepSums all = over_ranks({first, second});
  EXPECT_EQ(all.loss(), 3.75);
  EXPECT_EQ(all.correct(), 7.0);
}

TEST(StepSums, AreTheSameBitsInAnyOrder) {
  std::vector<StepSums> ranks;
  for (int rank = 0; rank < 7; ++rank) {
    ranks.emplace_back(Requests{});
    ranks.back().add({std::exp(0.37 * rank), 1});
  }
  const double forward = over_ranks(ranks).loss();
  EXPECT_EQ(over_ranks({ranks.rbegin(), ranks.rend()}).loss(), forward);
}

TEST(StepSums, WhatAnyRankAsksForAllRanksKnow) {
  const auto asked = [](const Requests& one) {
    return over_ranks({StepSums{Requests{}}, StepSums{one}}).requests();
  };
  EXPECT_TRUE(asked({.stop = true}).stop && !asked({.stop = true}).save && !asked({.stop = true}).give_up);
  EXPECT_TRUE(asked({.save = true}).save && !asked({.save = true}).stop);
  EXPECT_TRUE(asked({.give_up = true}).give_up && !asked({.give_up = true}).save);
  EXPECT_FALSE(asked({}).stop || asked({}).save || asked({}).give_up);
}

TEST(StepSums, ALossThatIsNotFiniteStaysSo) {
  StepSums bad{Requests{}};
  bad.add({std::numeric_limits<double>::quiet_NaN(), 0});
  EXPECT_TRUE(std::isnan(over_ranks({bad, StepSums{Requests{}}}).loss()));
}

}  // namespace
}  // namespace fcmnist::train
