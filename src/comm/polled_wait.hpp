#pragma once

#include <immintrin.h>
#include <sched.h>

#include "comm/stall_watch.hpp"

namespace fcmnist::comm {

/// How a rank waits for others: it looks again and again, spinning at first, since the others are a few
/// microseconds late at most when every rank has a core; then it gives its core away between looks, lets MPI
/// make progress and watches the clock. So nothing deadlocks when ranks share a core or a rank is gone.
class PolledWait {
 public:
  /// `spins`: looks before it gives its core away. `work_s`: see StallWatch.
  explicit PolledWait(StallWatch& watch, int spins, double work_s = 0.0)
      : watch_(&watch), spins_(spins), work_s_(work_s) {}

  /// For waits within a step. `give_way`: more ranks than cores, so a waiting rank leaves its core at once
  /// instead of spinning.
  static PolledWait in_step(StallWatch& watch, bool give_way) {
    return PolledWait(watch, give_way ? 1 : 10'000);
  }

  /// Returns when done() is true. Throws CommError that names the ranks that do not come, after the stall
  /// timeout.
  template <class Done>
  void until(Done done) const {
    for (int spin = 0; spin < spins_; ++spin) {
      if (done()) return;
      _mm_pause();
    }
    StallWatch::Wait wait(*watch_, work_s_);
    while (!done()) {
      sched_yield();
      wait.turn();
    }
  }

 private:
  StallWatch* watch_;
  int spins_;
  double work_s_;
};

}  // namespace fcmnist::comm
