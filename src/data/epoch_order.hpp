#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fcmnist::data {

/// The order in which the samples of a split are used. It is a pure function of (seed, epoch), and so the
/// same on every rank of any world.
class EpochOrder {
 public:
  /// Without `shuffle` every epoch has the order of the file. 0 < samples < 2^32.
  EpochOrder(std::size_t samples, std::uint64_t seed, bool shuffle);

  /// A permutation of the sample ids 0 .. samples - 1. It is valid until the next call. To ask for the same
  /// epoch again costs nothing.
  ///
  /// It begins with the order of the file. For p from the last place down to 1, the places p and below(p + 1,
  /// p) exchange their ids; `below` is that of CounterRng(seed, Purpose::epoch_order, epoch mod 2^32, epoch
  /// div 2^32). scripts/sample_order.py does the same in Python. Source: Fisher and Yates's shuffle in the
  /// form of Durstenfeld, "Algorithm 235", CACM 7 (1964).
  std::span<const std::uint32_t> order(std::uint64_t epoch);

  /// Memory that the order of so many samples takes.
  static constexpr std::size_t bytes(std::size_t samples) { return samples * sizeof(std::uint32_t); }

 private:
  void shuffle_for(std::uint64_t epoch);

  std::vector<std::uint32_t> sample_ids_;
  std::uint64_t seed_;
  bool shuffle_;
  bool is_shuffled_ = false;
  std::uint64_t epoch_ = 0;  ///< the epoch whose order sample_ids_ holds, if is_shuffled_
};

}  // namespace fcmnist::data
