#include "config/duration.hpp"

#include <gtest/gtest.h>

namespace fcmnist::config {
namespace {

constexpr long minute = 60, hour = 3600, day = 86400;

TEST(SlurmTime, IsReadInEveryForm) {
  EXPECT_EQ(seconds_of_slurm_time("90"), 90 * minute);
  EXPECT_EQ(seconds_of_slurm_time("0"), 0);
  EXPECT_EQ(seconds_of_slurm_time("90:30"), 90 * minute + 30);
  EXPECT_EQ(seconds_of_slurm_time("1:2:3"), hour + 2 * minute + 3);
  EXPECT_EQ(seconds_of_slurm_time("100:02:03"), 100 * hour + 2 * minute + 3);
  EXPECT_EQ(seconds_of_slurm_time("1-12"), day + 12 * hour);
  EXPECT_EQ(seconds_of_slurm_time("2-0"), 2 * day);
  EXPECT_EQ(seconds_of_slurm_time("1-12:30"), day + 12 * hour + 30 * minute);
  EXPECT_EQ(seconds_of_slurm_time("0-00:00:01"), 1);
  EXPECT_EQ(seconds_of_slurm_time("999999-23:59:59"), 999999 * day + 23 * hour + 59 * minute + 59);
}

TEST(SlurmTime, OtherTextsAreNone) {
  for (const char* text :
       {"",          ":",       "-",       "1:",      ":1",         "1-",       "-1",
        "1:60",      "1:60:00", "1:00:60", "1-24",    "1-2:60",     "1-2:3:60", "1:2:3:4",
        "1-2:3:4:5", "1-2-3",   "1:2-3",   "1.5",     "1h",         " 1",       "1 ",
        "+1",        "1000000", "1:002",   "1:+1:00", "1:00:00:00", "0x1",      "UNLIMITED"}) {
    EXPECT_EQ(seconds_of_slurm_time(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace fcmnist::config
