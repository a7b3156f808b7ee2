#include "comm/clock_offset.hpp"

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "comm/clock.hpp"
#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;

/// By the clock of the machine, which all ranks of the test share.
double machine_s() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// What the clock of this process lacks to that of the machine, and how much of it was measured at worst.
std::pair<double, double> behind_machine() {
  double least = -1e9, greatest = 1e9;
  for (int i = 0; i < 100; ++i) {
    const double before_s = now_s(), at_s = machine_s(), after_s = now_s();
    least = std::max(least, at_s - after_s);
    greatest = std::min(greatest, at_s - before_s);
  }
  return {(least + greatest) / 2, (greatest - least) / 2};
}

TEST(ClockOffset, IsWithinItsError) {
  const auto [mine_s, error_s] = behind_machine();
  struct Behind {
    double seconds, error;
  };
  const Behind first = world().all_gather(Behind{mine_s, error_s}).front();
  const ClockOffset offset = compare_clocks(world());
  const double expected_s = mine_s - first.seconds;
  EXPECT_LE(std::abs(offset.offset_s - expected_s), offset.error_s + error_s + first.error + 1e-7);
  EXPECT_LE(offset.at_s, now_s());
  if (world().rank() == 0) {
    EXPECT_EQ(offset.error_s, 0.0);
  }
}

}  // namespace
}  // namespace fcmnist::comm
