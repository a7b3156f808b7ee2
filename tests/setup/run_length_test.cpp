#include "setup/run_length.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/log_text.hpp"

namespace fcmnist::setup {
namespace {

using optim::ScheduleKind;
using optim::SchedulePiece;
using testing::HasSubstr;

using Schedule = std::vector<SchedulePiece>;

const Schedule falling = {
    {.kind = ScheduleKind::linear, .initial_learning_rate = 0.1, .end_learning_rate = 0.0}};

TEST(CountSteps, IsTheSmallerOfStepsAndEpochs) {
  config::RunOptions run;
  run.max_steps = 70;
  EXPECT_EQ(count_steps(run, 30), 70);
  run.num_epochs = 2;
  EXPECT_EQ(count_steps(run, 30), 60);
  EXPECT_EQ(count_steps(run, 40), 70);
  run.max_steps = 0;
  EXPECT_EQ(count_steps(run, 40), 80);
}

TEST(RateChange, AFinishedRunThatIsMadeLongerJumps) {
  EXPECT_EQ(rate_change(falling, 1000, 1000, 2000),
            "the learning rate jumps from 0.0001 in step 1000 to 0.05 in step 1001: its schedule ends with "
            "training, after 2000 steps now instead of 1000");
}

TEST(RateChange, ARunThatIsMadeMuchShorterFalls) {
  EXPECT_THAT(rate_change(falling, 500, 1000, 600).value_or(""), HasSubstr("falls from 0.0501 in step 500"));
}

TEST(RateChange, AlsoOfALastPieceBehindOthers) {
  Schedule schedule = {{.kind = ScheduleKind::constant, .initial_learning_rate = 0.1, .steps = 100}};
  schedule.push_back({.kind = ScheduleKind::cosine, .initial_learning_rate = 0.1, .end_learning_rate = 1e-3});
  EXPECT_TRUE(rate_change(schedule, 200, 200, 400));
  schedule.back().steps = 100;
  EXPECT_FALSE(rate_change(schedule, 200, 200, 400)) << "its length does not depend on training";
}

TEST(RateChange, WhatTheScheduleWouldHaveDoneAnywayIsNotSaid) {
  Schedule schedule = {{.kind = ScheduleKind::constant, .initial_learning_rate = 0.01, .steps = 100}};
  schedule.push_back({.kind = ScheduleKind::linear, .initial_learning_rate = 0.1});
  EXPECT_FALSE(rate_change(schedule, 100, 200, 250)) << "the warm-up ends here in either length";
}

TEST(RateChange, SmallChangesAreNotSaid) {
  EXPECT_FALSE(rate_change(falling, 500, 1000, 1000));
  EXPECT_FALSE(rate_change(falling, 500, 1000, 1200));
  EXPECT_FALSE(rate_change(falling, 0, 1000, 9000)) << "no step was done at another rate";
  EXPECT_FALSE(rate_change(falling, 1000, 1000, 900)) << "no step follows";
}

TEST(RateChange, TheLengthBeforeIsThatOfTheCheckpoint) {
  store::CheckpointHeader header;
  header.state.step = 1000;
  header.config_yaml = "runconfig: {max_steps: 1000}\n";
  config::RunConfig now;
  now.optimizer.learning_rate = falling;
  now.run.num_epochs = 4;
  test::LogText log;
  warn_of_rate_change(header, now, 500, log.log());
  EXPECT_THAT(log.text(), HasSubstr("warning: the learning rate jumps from 0.0001 in step 1000 to 0.05"));
}

}  // namespace
}  // namespace fcmnist::setup
