#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "comm/communicator.hpp"
#include "core/statistics.hpp"
#include "kernels/options.hpp"

namespace fcmnist::bench {

/// What to measure, and how long.
struct Settings {
  kernels::GemmBackend gemm = kernels::GemmBackend::openblas;
  int exchange_streams = 1;
  int rounds = 5;           ///< how often each part is timed; the median counts
  double min_time_s = 0.2;  ///< of one part in one round
};

/// Does something `calls` times and returns the seconds that count. Collective: every rank makes the same
/// calls. What rank 0 returns is reported.
using Timed = std::function<double(int calls)>;

/// All calls in a row between two looks at the clock, on the slowest rank. The ranks start together.
Timed in_a_row(const comm::Communicator& world, std::function<void()> call);

/// Each call for itself, after a `prepare` that does not count: as many times the median call, on the slowest
/// rank. The ranks start every call together.
Timed one_by_one(const comm::Communicator& world, std::function<void()> prepare, std::function<void()> call);

/// Seconds per call of several parts, over rounds in which each had its turn, so that a change in the
/// machine's speed meets all of them.
class Timings {
 public:
  /// seconds[part][round]
  explicit Timings(std::vector<std::vector<double>> seconds) : seconds_(std::move(seconds)) {}

  /// Median over rounds.
  [[nodiscard]] double seconds(std::size_t part) const;
  /// Median over rounds of the time of `part` by the time of `other` in the same round.
  [[nodiscard]] double ratio(std::size_t part, std::size_t other) const;

 private:
  std::vector<std::vector<double>> seconds_;
};

/// Times the parts in turn: A B C, A B C ... Collective. How many calls a part needs to last min_time_s is
/// found in a warm-up and agreed on by all ranks.
Timings time_in_turn(const comm::Communicator& world, const Settings& settings, std::span<const Timed> parts);

}  // namespace fcmnist::bench
