#include "comm/clock_offset.hpp"

#include <algorithm>
#include <limits>

#include "comm/clock.hpp"

namespace fcmnist::comm {

namespace {

/// Of the last round when it was entered, and of the round before when it was left.
struct Times {
  double entered_s = 0.0, left_before_s = 0.0;
};

}  // namespace

ClockOffset compare_clocks(const Communicator& world) {
  constexpr int rounds = 50;
  // The clock of rank 0 is mine + offset, with least <= offset <= greatest.
  double least = -std::numeric_limits<double>::infinity(), greatest = -least;
  double left_s = 0.0, entered_before_s = 0.0;
  for (int round = 0; round < rounds; ++round) {
    const double entered_s = now_s();
    const Times first = world.all_gather(Times{entered_s, left_s}).front();
    left_s = now_s();
    least = std::max(least, first.entered_s - left_s);  // it had entered when I left
    // I had entered the round before when it left that.
    if (round > 0) greatest = std::min(greatest, first.left_before_s - entered_before_s);
    entered_before_s = entered_s;
  }
  if (world.rank() == 0) return {entered_before_s, 0.0, 0.0};
  return {entered_before_s, (least + greatest) / 2, (greatest - least) / 2};
}

}  // namespace fcmnist::comm
