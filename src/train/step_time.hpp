#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "comm/clock.hpp"

namespace fcmnist::train {

/// Where the time of a rank goes, in seconds.
struct TimeSplit {
  double data_s = 0.0;      ///< gathering and normalising samples
  double compute_s = 0.0;   ///< forward, loss, backward
  double exchange_s = 0.0;  ///< waiting for the others, summing gradients, updating weights
  double files_s = 0.0;     ///< metrics and checkpoints
  // Parts of exchange_s. The rest of it are messages between stages, and comparisons of replicas.
  double wait_s = 0.0;     ///< until the gradients of all ranks are there, summed over nodes and stages
  double exposed_s = 0.0;  ///< of wait_s, from when those of the node are there until all are summed
  double sum_s = 0.0;      ///< summing what must be known before the update
  double update_s =
      0.0;  ///< updating weights, waiting for those of others and taking them; the sum too if it comes with it

  /// Of the step itself.
  [[nodiscard]] double step_s() const { return data_s + compute_s + exchange_s; }
  [[nodiscard]] double total_s() const { return data_s + compute_s + exchange_s + files_s; }
  [[nodiscard]] TimeSplit divided_by(double n) const {
    return {data_s / n, compute_s / n, exchange_s / n, files_s / n,
            wait_s / n, exposed_s / n, sum_s / n,      update_s / n};
  }
  TimeSplit& operator+=(const TimeSplit& other) {
    data_s += other.data_s;
    compute_s += other.compute_s;
    exchange_s += other.exchange_s;
    files_s += other.files_s;
    wait_s += other.wait_s;
    exposed_s += other.exposed_s;
    sum_s += other.sum_s;
    update_s += other.update_s;
    return *this;
  }
};

/// Where the time of the stages of one replica goes, in seconds; empty with one stage.
struct PipelineTime {
  std::vector<double> busy_s;  ///< of each stage, without its waits for a neighbour
  double total_s = 0.0;        ///< from the first forward to the last backward, on the first stage

  [[nodiscard]] double mean_busy_s() const {
    return busy_s.empty()
               ? 0.0
               : std::accumulate(busy_s.begin(), busy_s.end(), 0.0) / static_cast<double>(busy_s.size());
  }
  /// Part of the stages' time in which they waited, 0 to 1.
  [[nodiscard]] double bubble_fraction() const {
    return total_s > 0.0 ? std::max(0.0, 1.0 - mean_busy_s() / total_s) : 0.0;
  }
  PipelineTime& operator+=(const PipelineTime& other) {
    busy_s.resize(std::max(busy_s.size(), other.busy_s.size()));
    for (std::size_t s = 0; s < other.busy_s.size(); ++s) busy_s[s] += other.busy_s[s];
    total_s += other.total_s;
    return *this;
  }
  [[nodiscard]] PipelineTime divided_by(double n) const {
    PipelineTime result = *this;
    for (double& busy : result.busy_s) busy /= n;
    result.total_s /= n;
    return result;
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
  /// When it was last asked, by comm::now_s().
  [[nodiscard]] double last_s() const { return last_s_; }

 private:
  double last_s_ = comm::now_s();
};

}  // namespace fcmnist::train
