#pragma once

#include <algorithm>

#include "comm/session.hpp"

namespace fcmnist::comm {

/// Time spent waiting, asked for at every turn of a waiting loop. A turn counts for at most a second, so that
/// a job that was suspended as a whole and continued does not look like one whose ranks have died.
class StallClock {
 public:
  explicit StallClock(double timeout_s) : timeout_s_(timeout_s) {}
  bool expired() {
    const double now = now_s();
    waited_s_ += std::min(now - last_s_, 1.0);
    last_s_ = now;
    return waited_s_ > timeout_s_;
  }

 private:
  double timeout_s_;
  double waited_s_ = 0.0;
  double last_s_ = now_s();
};

}  // namespace fcmnist::comm
