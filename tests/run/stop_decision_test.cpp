#include "run/stop_decision.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "comm/clock.hpp"

namespace fcmnist::run {
namespace {

/// A run that has 100 s left; 1 s of them is the margin.
class StopDecisionTest : public testing::Test {
 protected:
  StopDecisionTest() {
    decision_.set_time_limit({{140, false}, comm::now_s() - 40.0, *make_logger("error", true)});
  }
  StopSignals signals_;
  StopDecision decision_{signals_};
};

TEST_F(StopDecisionTest, WithoutALimitTimeIsNeverUp) {
  StopDecision unlimited(signals_);
  unlimited.add_turn(1e9);
  EXPECT_FALSE(unlimited.time_is_up(false, 1e9));
}

TEST_F(StopDecisionTest, OneMoreTurnAndTwoSavesMustFit) {
  EXPECT_FALSE(decision_.time_is_up(false, 0.0));
  decision_.add_turn(40.0);
  EXPECT_FALSE(decision_.time_is_up(false, 20.0));
  EXPECT_TRUE(decision_.time_is_up(false, 35.0));
  decision_.add_turn(70.0);
  EXPECT_TRUE(decision_.time_is_up(false, 20.0));
}

TEST_F(StopDecisionTest, TheMarginIsKept) {
  decision_.add_turn(99.5);
  EXPECT_TRUE(decision_.time_is_up(false, 0.0));
}

TEST_F(StopDecisionTest, AnEvaluationMustFitIfOneIsDue) {
  decision_.add_evaluation(95.0);
  decision_.add_evaluation(1.0);  // the longest counts
  decision_.add_turn(10.0);
  EXPECT_FALSE(decision_.time_is_up(false, 0.0));
  EXPECT_TRUE(decision_.time_is_up(true, 0.0));
}

TEST_F(StopDecisionTest, AJobThatWasSuspendedGoesOn) {
  decision_.add_turn(1000.0);
  for (int turn = 0; turn < 50; ++turn) decision_.add_turn(1.0);
  EXPECT_TRUE(decision_.time_is_up(false, 0.0)) << "a long turn is remembered for a while";
  for (int turn = 0; turn < 100; ++turn) decision_.add_turn(1.0);
  EXPECT_FALSE(decision_.time_is_up(false, 0.0));
}

TEST_F(StopDecisionTest, AStepMayLastForTheStallTimeoutOrManyTimesTheLongest) {
  EXPECT_EQ(decision_.patience_with_step(300.0).hurried_seconds, 300.0) << "no step is known yet";
  decision_.add_turn(0.1);
  EXPECT_EQ(decision_.patience_with_step(300.0).seconds, 300.0);
  EXPECT_EQ(decision_.patience_with_step(300.0).hurried_seconds, 20.0);
  EXPECT_EQ(decision_.patience_with_step(5.0).hurried_seconds, 5.0);
  decision_.add_turn(50.0);
  EXPECT_EQ(decision_.patience_with_step(300.0).seconds, 500.0);
  EXPECT_EQ(decision_.patience_with_step(300.0).hurried_seconds, 500.0);
  EXPECT_EQ(decision_.patience_with_evaluation(300.0).seconds, 300.0) << "an evaluation has times of its own";
}

TEST_F(StopDecisionTest, WhoHasNoReasonStopsForAnother) {
  EXPECT_FALSE(decision_.signal_arrived());
  EXPECT_EQ(decision_.reason(), "another rank received a signal");
  EXPECT_FALSE(decision_.time_is_up(false, 0.0));
  EXPECT_EQ(decision_.reason(), "another rank received a signal");
  EXPECT_TRUE(decision_.time_is_up(false, 60.0));
  EXPECT_EQ(decision_.reason(), "runconfig.max_time is over") << "also when the save was faster than that";
}

TEST_F(StopDecisionTest, ASignalIsTheReasonAlsoWhenTimeIsUp) {
  EXPECT_EXIT(  // in a process of its own, since signals are remembered
      {
        std::raise(SIGUSR2);
        const bool time_is_up = decision_.time_is_up(false, 60.0);
        std::fputs(decision_.reason().c_str(), stderr);
        std::_Exit(decision_.signal_arrived() && time_is_up ? 0 : 1);
      },
      testing::ExitedWithCode(0), "^SIGUSR2 arrived$");
}

}  // namespace
}  // namespace fcmnist::run
