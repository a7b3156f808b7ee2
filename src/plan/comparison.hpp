#pragma once

#include <span>

#include "comm/communicator.hpp"

namespace fcmnist::plan {

/// Two ways to do the same, timed in turn, round by round, so that a change in the machine's speed meets
/// both: the base, which is in use, and the other one.
struct Comparison {
  double base_s = 0.0;   ///< median time of the base
  double other_s = 0.0;  ///< median time of the other one
  double ratio = 1.0;    ///< median over the rounds of other / base
  double spread = 1.0;   ///< upper quartile over the rounds of other / base

  /// The other one is faster by more than noise: by 3 % in the median, and in three rounds of four.
  [[nodiscard]] bool is_gain() const { return ratio < 0.97 && spread < 1.0; }
};

/// base[round], other[round]: seconds. There is at least one round.
Comparison compare(std::span<const double> base, std::span<const double> other);

/// The largest value that each number has on any rank, so that a gain is a gain on every rank. Collective; the
/// same result on every rank.
Comparison of_slowest_rank(const comm::Communicator& world, const Comparison& mine);

}  // namespace fcmnist::plan
