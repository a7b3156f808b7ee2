#include "plan/comparison.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace fcmnist::plan {
namespace {

using Rounds = std::vector<double>;

TEST(Compare, TakesMediansOfPairs) {
  // The machine is three times slower in the last rounds: the ratios do not see it.
  const Comparison c = compare(Rounds{1.0, 1.0, 1.0, 3.0, 3.0}, Rounds{0.5, 0.5, 0.5, 1.5, 1.5});
  EXPECT_EQ(c.base_s, 1.0);
  EXPECT_EQ(c.other_s, 0.5);
  EXPECT_EQ(c.ratio, 0.5);
  EXPECT_EQ(c.spread, 0.5);
}

TEST(Compare, OneRoundIsEnough) { EXPECT_EQ(compare(Rounds{2.0}, Rounds{1.0}).spread, 0.5); }

TEST(IsGain, NeedsThreePercentAndThreeRoundsOfFour) {
  const Rounds base(8, 1.0);
  const auto gains = [&](const Rounds& other) { return compare(base, other).is_gain(); };
  EXPECT_TRUE(gains(Rounds(8, 0.96)));
  EXPECT_FALSE(gains(Rounds(8, 0.98)));
  EXPECT_FALSE(gains(Rounds(8, 1.0)));
  EXPECT_FALSE(gains(Rounds(8, 1.5)));
  EXPECT_TRUE(gains({0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.5}));
  EXPECT_FALSE(gains({0.5, 0.5, 0.5, 0.5, 0.5, 1.5, 1.5, 1.5})) << "faster in the median, but noise";
}

}  // namespace
}  // namespace fcmnist::plan
