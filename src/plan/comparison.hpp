#pragma once

#include <span>

#include "comm/communicator.hpp"

namespace fcmnist::plan {

/// Two ways to do the same, timed in turn, round by round, so that a change in the machine's speed meets
/// both.
struct Comparison {
  double base_s = 0.0;   ///< median of the one that is in use
  double other_s = 0.0;  ///< median of the other
  double ratio = 1.0;    ///< median over rounds of other / base
  double spread = 1.0;   ///< upper quartile of the same

  /// Faster by more than noise: by 3 % in the median, and faster in three rounds of four.
  [[nodiscard]] bool is_gain() const { return ratio < 0.97 && spread < 1.0; }
};

/// base[round], other[round]: seconds, of at least one round.
Comparison compare(std::span<const double> base, std::span<const double> other);

/// Each number of the rank on which it is largest: what is a gain here is one on every rank. Collective; the
/// same on every rank.
Comparison of_slowest_rank(const comm::Communicator& world, const Comparison& mine);

}  // namespace fcmnist::plan
