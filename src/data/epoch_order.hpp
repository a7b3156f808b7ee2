#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/counter_rng.hpp"

namespace fcmnist::data {

/// For p from the last place down to 1, the places p and rng.below(p + 1, p) exchange their ids. Source:
/// Fisher and Yates's shuffle in the form of Durstenfeld, "Algorithm 235", CACM 7 (1964).
void shuffle(std::span<std::uint32_t> ids, const CounterRng& rng);

/// 0 .. samples - 1. samples < 2^32.
std::vector<std::uint32_t> all_ids(std::size_t samples);

/// The order in which samples are used. It is a pure function of (seed, epoch), and so the same on every rank
/// of any world.
class EpochOrder {
 public:
  /// Without `shuffle` every epoch has the order of `ids`. At least one of them.
  EpochOrder(std::vector<std::uint32_t> ids, std::uint64_t seed, bool shuffle);

  /// A permutation of the ids. It is valid until the next call. To ask for the same epoch again costs nothing.
  ///
  /// It is shuffle() of the ids, as they were given, by CounterRng(seed, Purpose::epoch_order, epoch mod 2^32,
  /// epoch div 2^32). scripts/sample_order.py does the same in Python.
  std::span<const std::uint32_t> order(std::uint64_t epoch);

  /// Memory that the order of so many samples takes.
  static constexpr std::size_t bytes(std::size_t samples) { return 2 * samples * sizeof(std::uint32_t); }

 private:
  void shuffle_for(std::uint64_t epoch);

  std::vector<std::uint32_t> ids_;      ///< as they were given
  std::vector<std::uint32_t> ordered_;  ///< the same in the order of epoch_, if is_shuffled_
  std::uint64_t seed_;
  bool shuffle_;
  bool is_shuffled_ = false;
  std::uint64_t epoch_ = 0;
};

}  // namespace fcmnist::data
