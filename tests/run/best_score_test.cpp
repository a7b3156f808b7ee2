#include "run/best_score.hpp"

#include <gtest/gtest.h>

#include <array>

namespace fcmnist::run {
namespace {

constexpr std::array scores = {Score{10, 0.8, 0.5}, Score{20, 0.9, 0.4}, Score{30, 0.9, 0.3},
                               Score{40, 0.9, 0.3}, Score{50, 0.7, 0.1}};

TEST(BestScore, IsTheMostAccurateThenTheOneWithTheSmallestLossThenTheFirst) {
  BestScore best;
  EXPECT_FALSE(best.best());
  for (const Score& score : scores) best.add(score);
  ASSERT_TRUE(best.best());
  EXPECT_EQ(best.best()->step, 30);
  EXPECT_TRUE(best.is_of(30));
  EXPECT_FALSE(best.is_of(50));
}

TEST(BestScore, IsNotReplacedByRounding) {
  EXPECT_FALSE(is_better({20, 0.9, 0.4999999}, {10, 0.9, 0.5}));
  EXPECT_TRUE(is_better({20, 0.9, 0.499}, {10, 0.9, 0.5}));
}

TEST(BestScore, LastsUntilABetterOneComes) {
  BestScore best;
  EXPECT_FALSE(best.has_lasted(1));
  for (const Score& score : scores) best.add(score);
  EXPECT_TRUE(best.has_lasted(2));
  EXPECT_FALSE(best.has_lasted(3));
  EXPECT_FALSE(best.has_lasted(0)) << "0: never";
  best.add({60, 0.95, 0.9});
  EXPECT_FALSE(best.has_lasted(1));
}

TEST(BestScore, OfCheckpointsOnlyThoseThatWereValidatedCount) {
  const auto best_of = [](std::initializer_list<std::int64_t> checkpoints) {
    return best_step(scores, std::vector<std::int64_t>(checkpoints));
  };
  EXPECT_EQ(best_of({10, 20, 35, 40, 50}), 40);
  EXPECT_EQ(best_of({10, 50}), 10);
  EXPECT_EQ(best_of({15}), std::nullopt);
  EXPECT_EQ(best_of({}), std::nullopt);
}

}  // namespace
}  // namespace fcmnist::run
