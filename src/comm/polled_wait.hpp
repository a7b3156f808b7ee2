#pragma once

#include <immintrin.h>
#include <sched.h>

#include <chrono>
#include <thread>

#include "comm/stall_watch.hpp"

namespace fcmnist::comm {

/// How a rank waits for other ranks: it tests again and again whether they have come. At first it spins,
/// since the others are at most a few microseconds late when every rank has a core. Then it gives its core
/// away between two tests, lets MPI make progress and watches the clock. Therefore no deadlock arises when
/// ranks share a core, and none when a rank is gone.
class PolledWait {
 public:
  ///   spins   how often the rank tests before it gives its core away
  ///   work_s  see StallWatch::Wait
  explicit PolledWait(StallWatch& watch, int spins, double work_s = 0.0)
      : watch_(&watch), spins_(spins), work_s_(work_s) {}

  /// For waits within a step.
  ///   give_way  there are more ranks than cores, so a waiting rank gives its core away at once
  static PolledWait in_step(StallWatch& watch, bool give_way) {
    return PolledWait(watch, give_way ? 1 : 10'000);
  }

  /// Returns when done() is true. After the stall timeout it throws a CommError that names the missing ranks.
  template <class Done>
  void until(Done done) const {
    for (int spin = 0; spin < spins_; ++spin) {
      if (done()) return;
      _mm_pause();
    }
    StallWatch::Wait wait(*watch_, work_s_);
    while (!done()) {
      if (work_s_ > 0.0) {  // the others work for long, and may need this core
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      } else {
        sched_yield();
      }
      wait.take_turn();
    }
  }

 private:
  StallWatch* watch_;
  int spins_;
  double work_s_;
};

}  // namespace fcmnist::comm
