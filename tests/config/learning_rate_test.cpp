#include "config/learning_rate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "config/support.hpp"
#include "optim/schedule.hpp"

namespace fcmnist::config {
namespace {

using optim::ScheduleKind;
using Pieces = std::vector<optim::SchedulePiece>;

Pieces read(const std::string& text) { return read_learning_rate(parse_override(text, "here"), "lr"); }
std::string error_of(const std::string& text) {
  return usage_error_of([&] { read(text); });
}

TEST(LearningRate, ANumberIsAnEndlessConstant) {
  EXPECT_EQ(read("0.001"), (Pieces{{ScheduleKind::constant, 0.001, 0.0, 1.0, 0}}));
  EXPECT_EQ(read("0"), (Pieces{{ScheduleKind::constant, 0.0, 0.0, 1.0, 0}}));
}

TEST(LearningRate, KindsGoByTheNamesOfAllReleases) {
  for (const char* name : {"CosineDecay", "cosinedecay", "CosineDecayLR", "Cosine"}) {
    EXPECT_EQ(read(std::string("{scheduler: ") + name + ", initial_learning_rate: 0.1}"),
              (Pieces{{ScheduleKind::cosine, 0.1, 0.0, 1.0, 0}}));
  }
  EXPECT_EQ(read("{scheduler: LINEARLR, learning_rate: 0, end_learning_rate: 0.1, total_iters: 20}"),
            (Pieces{{ScheduleKind::linear, 0.0, 0.1, 1.0, 20}}));
  EXPECT_EQ(read("{scheduler: polynomial, initial_learning_rate: 1, power: 2.5, decay_steps: 7}"),
            (Pieces{{ScheduleKind::polynomial, 1.0, 0.0, 2.5, 7}}));
  EXPECT_EQ(read("{scheduler: ConstantLR, val: 0.5, steps: 3}"),
            (Pieces{{ScheduleKind::constant, 0.5, 0.0, 1.0, 3}}));
}

TEST(LearningRate, AListRunsOneAfterTheOther) {
  EXPECT_EQ(read("[{scheduler: Linear, initial_learning_rate: 0, end_learning_rate: 0.1, steps: 200}, "
                 "{scheduler: CosineDecay, initial_learning_rate: 0.1}]"),
            (Pieces{{ScheduleKind::linear, 0.0, 0.1, 1.0, 200}, {ScheduleKind::cosine, 0.1, 0.0, 1.0, 0}}));
}

TEST(LearningRate, WhatIsWrittenReadsBackExactly) {
  const std::vector<Pieces> all = {
      {{ScheduleKind::constant, 0.1 + 0.2, 0.0, 1.0, 0}},
      {{ScheduleKind::constant, 1e-300, 0.0, 1.0, 12}},
      {{ScheduleKind::linear, 0.0, 1.0 / 3.0, 1.0, 5},
       {ScheduleKind::polynomial, 1.0 / 3.0, 1e-7, 0.9, 6},
       {ScheduleKind::cosine, 12345678.9, 5e-324, 1.0, 0}},
  };
  for (const Pieces& pieces : all)
    EXPECT_EQ(read(write_learning_rate(pieces)), pieces) << write_learning_rate(pieces);
}

TEST(LearningRate, EveryScheduleHasPyTorchsValueAtEveryStep) {
  std::ifstream file(GOLDEN_SCHEDULES);
  std::string line, yaml;
  std::size_t schedules = 0;
  while (std::getline(file, line)) {
    if (line.starts_with("#")) continue;
    if (line.starts_with("schedule ")) {
      yaml = line.substr(std::string("schedule ").size());
      continue;
    }
    ++schedules;
    const Pieces pieces = read(yaml);
    EXPECT_EQ(read(write_learning_rate(pieces)), pieces) << write_learning_rate(pieces);
    std::istringstream numbers(line);
    double expected = 0.0;
    for (long step = 0; numbers >> expected; ++step) {
      EXPECT_NEAR(optim::learning_rate(pieces, step, 1000), expected, 1e-8 * std::max(1.0, expected))
          << yaml << " step " << step;
    }
  }
  EXPECT_EQ(schedules, 21U);
}

TEST(LearningRate, RefusesWhatItCannotMean) {
  const std::string begin = "{scheduler: Linear, initial_learning_rate: 0.1";
  EXPECT_TRUE(
      contains(error_of("-0.1"), "here: lr: expected a number, at least 0, or a schedule, found '-0.1'"));
  EXPECT_TRUE(contains(error_of("nan"), "found 'nan'"));
  EXPECT_TRUE(contains(error_of("inf"), "found 'inf'"));
  EXPECT_TRUE(contains(error_of("[]"), "expected a list of 1 to 100 schedules, found 0"));
  EXPECT_TRUE(contains(error_of("[0.1]"), "expected a schedule"));
  EXPECT_TRUE(contains(error_of("{initial_learning_rate: 0.1}"), "a schedule without scheduler"));
  EXPECT_TRUE(contains(error_of("{scheduler: Linear}"), "a schedule without initial_learning_rate"));
  EXPECT_TRUE(contains(error_of("{scheduler: Linar, initial_learning_rate: 0.1}"), "did you mean Linear?"));
  EXPECT_TRUE(contains(error_of("{scheduler: LambdaLR, initial_learning_rate: 0.1}"),
                       "there is no schedule LambdaLR"));
  EXPECT_TRUE(contains(error_of("{scheduler: OneCycleLR, initial_learning_rate: 0.1}"),
                       "lr: a schedule without max_lr"));
  EXPECT_TRUE(contains(error_of("{scheduler: StepLR, initial_learning_rate: 0.1, gamma: 0.1}"),
                       "lr: a schedule without step_size"));
  EXPECT_TRUE(contains(error_of("{scheduler: MultiStep, learning_rate: 1, gamma: 0.1, milestones: [5, 5]}"),
                       "rising order"));
  EXPECT_TRUE(contains(error_of("{scheduler: PiecewiseConstant, learning_rates: [1, 2], milestones: [5, 6]}"),
                       "2 learning_rates and 2 milestones: expected one rate more"));
  EXPECT_TRUE(contains(error_of("{scheduler: Cyclic, base_lr: 1, max_lr: 2, step_size_up: 5, mode: square}"),
                       "triangular, triangular2, exp_range"));
  EXPECT_TRUE(contains(
      error_of("{scheduler: Exponential, learning_rate: 1, decay_steps: 3, total_iters: 3, decay_rate: 1}"),
      "decay_steps and total_iters mean the same"));
  EXPECT_TRUE(
      contains(error_of("[{scheduler: StepLR, learning_rate: 1, step_size: 5, gamma: 0.5}, " + begin + "}]"),
               "schedule 1 of 2 has no steps"))
      << "a period is no length";
  EXPECT_TRUE(contains(error_of(begin + ", stesp: 3}"), "did you mean steps?"));
  EXPECT_TRUE(contains(error_of(begin + ", steps: 0}"), "lr.steps: expected a whole number from 1"));
  EXPECT_TRUE(
      contains(error_of(begin + ", steps: 3, total_iters: 3}"), "steps and total_iters mean the same"));
  EXPECT_TRUE(contains(error_of(begin + ", power: 2}"), "power has a meaning for Polynomial only"));
  EXPECT_TRUE(
      contains(error_of("{scheduler: Constant, val: 1, end_learning_rate: 0}"),
               "end_learning_rate has a meaning for Linear, Polynomial, CosineDecay, CosineAnnealing, "
               "CosineAnnealingWarmRestarts only"));
  EXPECT_TRUE(
      contains(error_of("{scheduler: Polynomial, val: 1, power: 0}"), "lr.power: expected a number above 0"));
  EXPECT_TRUE(contains(error_of("[" + begin + "}, " + begin + "}]"), "schedule 1 of 2 has no steps"));
}

}  // namespace
}  // namespace fcmnist::config
