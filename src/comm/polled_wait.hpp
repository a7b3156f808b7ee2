#pragma once

#include <immintrin.h>
#include <sched.h>

#include "comm/communicator.hpp"
#include "comm/stall_clock.hpp"

namespace fcmnist::comm {

/// How a rank waits for others: it looks again and again, spinning at first, since the others are a few
/// microseconds late at most when every rank has a core; then it gives its core away between looks, lets MPI
/// make progress and watches the clock. So nothing deadlocks when ranks share a core or a rank is gone.
class PolledWait {
 public:
  /// `give_way`: more ranks than cores, so a waiting rank leaves its core at once instead of spinning.
  PolledWait(const Communicator& world, double stall_timeout_s, bool give_way)
      : world_(&world), stall_timeout_s_(stall_timeout_s), spins_(give_way ? 1 : 10'000) {}

  /// Returns when done() is true. Throws error(), a CommError that says who is late, after the stall timeout.
  template <class Done, class MakeError>
  void until(Done done, MakeError error) const {
    for (int spin = 0; spin < spins_; ++spin) {
      if (done()) return;
      _mm_pause();
    }
    StallClock stall(stall_timeout_s_);
    while (!done()) {
      sched_yield();
      world_->poll();
      if (stall.expired()) throw error();
    }
  }

  [[nodiscard]] double stall_timeout_s() const { return stall_timeout_s_; }

 private:
  const Communicator* world_;
  double stall_timeout_s_;
  int spins_;
};

}  // namespace fcmnist::comm
