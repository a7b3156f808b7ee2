#pragma once

#include "comm/session.hpp"

namespace fcmnist::train {

/// Where the time of a rank goes, in seconds.
struct TimeSplit {
  double data_s = 0.0;      ///< gathering and normalising samples
  double compute_s = 0.0;   ///< forward, loss, backward
  double exchange_s = 0.0;  ///< waiting for the others, summing gradients, updating weights
  double files_s = 0.0;     ///< metrics and checkpoints

  /// Of the step itself.
  [[nodiscard]] double step_s() const { return data_s + compute_s + exchange_s; }
  [[nodiscard]] double total_s() const { return data_s + compute_s + exchange_s + files_s; }
  [[nodiscard]] TimeSplit divided_by(double n) const {
    return {data_s / n, compute_s / n, exchange_s / n, files_s / n};
  }
  TimeSplit& operator+=(const TimeSplit& other) {
    data_s += other.data_s;
    compute_s += other.compute_s;
    exchange_s += other.exchange_s;
    files_s += other.files_s;
    return *this;
  }
};

/// Hands out the time since it was last asked.
class Stopwatch {
 public:
  double lap_s() {
    const double now = comm::now_s();
    const double lap = now - last_s_;
    last_s_ = now;
    return lap;
  }

 private:
  double last_s_ = comm::now_s();
};

}  // namespace fcmnist::train
