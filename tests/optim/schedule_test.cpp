#include "optim/schedule.hpp"

#include <gtest/gtest.h>

namespace fcmnist::optim {
namespace {

double at(const std::vector<SchedulePiece>& pieces, long step, long total) {
  return learning_rate(pieces, step, total);
}

TEST(Schedule, ConstantHoldsForEver) {
  const std::vector<SchedulePiece> pieces = {{ScheduleKind::constant, 0.25, 0.0, 1.0, 0}};
  EXPECT_EQ(at(pieces, 0, 10), 0.25);
  EXPECT_EQ(at(pieces, 1'000'000, 10), 0.25);
}

TEST(Schedule, LinearAndPolynomialAndCosineMeetTheirEnds) {
  for (const auto kind : {ScheduleKind::linear, ScheduleKind::polynomial, ScheduleKind::cosine}) {
    const std::vector<SchedulePiece> pieces = {{kind, 0.4, 0.1, 1.0, 100}};
    EXPECT_DOUBLE_EQ(at(pieces, 0, 500), 0.4);
    EXPECT_NEAR(at(pieces, 50, 500), 0.25, 1e-15);
    EXPECT_NEAR(at(pieces, 100, 500), 0.1, 1e-15);
    EXPECT_NEAR(at(pieces, 400, 500), 0.1, 1e-15) << "the end value holds after the last piece";
  }
  const std::vector<SchedulePiece> square = {{ScheduleKind::polynomial, 1.0, 0.0, 2.0, 10}};
  EXPECT_NEAR(at(square, 5, 10), 0.25, 1e-15);
  const std::vector<SchedulePiece> cosine = {{ScheduleKind::cosine, 1.0, 0.0, 1.0, 3}};
  EXPECT_NEAR(at(cosine, 1, 3), 0.75, 1e-15);
}

TEST(Schedule, ALastPieceWithoutLengthEndsWithTraining) {
  const std::vector<SchedulePiece> warm_up = {{ScheduleKind::linear, 0.0, 1.0, 1.0, 10},
                                              {ScheduleKind::linear, 1.0, 0.0, 1.0, 0}};
  EXPECT_DOUBLE_EQ(at(warm_up, 5, 110), 0.5);
  EXPECT_DOUBLE_EQ(at(warm_up, 10, 110), 1.0);
  EXPECT_DOUBLE_EQ(at(warm_up, 60, 110), 0.5);
  EXPECT_DOUBLE_EQ(at(warm_up, 110, 110), 0.0);
  EXPECT_GE(at(warm_up, 3, 5), 0.0) << "training shorter than the warm-up";
}

TEST(Schedule, RestartsThatGrowBeyondAllNumbersStillEnd) {
  constexpr long many = 1'000'000'000'000;
  SchedulePiece piece;
  piece.kind = ScheduleKind::cosine_annealing_warm_restarts;
  piece.initial_learning_rate = 0.5;
  piece.period = 100'000'000;
  piece.period_factor = many;
  EXPECT_DOUBLE_EQ(at({piece}, 100'000'000, many), 0.5) << "a restart";
  EXPECT_NEAR(at({piece}, many, many), 0.5, 1e-9) << "the begin of a cycle of 1e20 steps";
  piece.period = piece.period_factor = 1;
  EXPECT_DOUBLE_EQ(at({piece}, many, many), 0.5);
}

TEST(RateFactor, FollowsTheSamplesOfAStep) {
  OptimizerOptions options;
  EXPECT_EQ(rate_factor(options, 8192), 1.0);
  options.lr_scaling = RateScaling::linear;
  EXPECT_EQ(rate_factor(options, 8192), 64.0);
  EXPECT_EQ(rate_factor(options, 32), 0.25);
  options.lr_scaling = RateScaling::sqrt;
  options.base_batch_size = 512;
  EXPECT_EQ(rate_factor(options, 8192), 4.0);
}

}  // namespace
}  // namespace fcmnist::optim
