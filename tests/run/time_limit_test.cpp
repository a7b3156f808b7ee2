#include "run/time_limit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <string>

#include "comm/clock.hpp"

namespace fcmnist::run {
namespace {

TEST(SlurmDuration, IsReadAsSqueueWritesIt) {
  EXPECT_EQ(parse_slurm_duration("0:07"), 7.0);
  EXPECT_EQ(parse_slurm_duration("29:59"), 29 * 60 + 59.0);
  EXPECT_EQ(parse_slurm_duration("1:00:00"), 3600.0);
  EXPECT_EQ(parse_slurm_duration("23:59:58"), 86398.0);
  EXPECT_EQ(parse_slurm_duration("2-03:04:05"), 2 * 86400 + 3 * 3600 + 4 * 60 + 5.0);
}

TEST(SlurmDuration, OtherTextsAreNone) {
  for (const char* text : {"", "UNLIMITED", "INVALID", "NOT_SET", "7", "1:2:3:4", "1-2", "10:00 x", "-5:00",
                           "slurm_load_jobs error: Invalid job id specified"}) {
    EXPECT_EQ(parse_slurm_duration(text), std::nullopt) << text;
  }
}

class TimeLimitTest : public testing::Test {
 protected:
  TimeLimitTest() {
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_JOB_END_TIME");
  }
  std::shared_ptr<Logger> log_ = make_logger("error", true);
};

TEST_F(TimeLimitTest, WithoutOneThereIsNoEnd) {
  EXPECT_TRUE(std::isinf(TimeLimit({}, comm::now_s(), *log_).left_s()));
}

TEST_F(TimeLimitTest, CountsFromTheStart) {
  const TimeLimit limit({100, false}, comm::now_s() - 40.0, *log_);
  EXPECT_NEAR(limit.left_s(), 60.0, 1.0);
}

TEST_F(TimeLimitTest, AutoOutsideOfAJobIsNoLimit) {
  EXPECT_TRUE(std::isinf(TimeLimit({0, true}, comm::now_s(), *log_).left_s()));
}

TEST_F(TimeLimitTest, AutoBelievesTheEndThatSlurmGives) {
  setenv("SLURM_JOB_ID", "7", 1);
  setenv("SLURM_JOB_END_TIME", std::to_string(std::time(nullptr) + 500).c_str(), 1);
  EXPECT_NEAR(TimeLimit({0, true}, comm::now_s(), *log_).left_s(), 500.0, 2.0);
}

TEST_F(TimeLimitTest, AutoGoesOnWhenSlurmDoesNotAnswer) {
  setenv("SLURM_JOB_ID", "7", 1);
  setenv("PATH", "/nonexistent", 1);
  EXPECT_TRUE(std::isinf(TimeLimit({0, true}, comm::now_s(), *log_).left_s()));
}

}  // namespace
}  // namespace fcmnist::run
