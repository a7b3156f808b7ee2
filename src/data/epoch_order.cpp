#include "data/epoch_order.hpp"

#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "core/counter_rng.hpp"
#include "core/error.hpp"

namespace fcmnist::data {

EpochOrder::EpochOrder(std::size_t samples, std::uint64_t seed, bool shuffle)
    : seed_(seed), shuffle_(shuffle) {
  FCMNIST_CHECK(0 < samples && samples <= std::numeric_limits<std::uint32_t>::max(), std::to_string(samples));
  sample_ids_.resize(samples);
  std::iota(sample_ids_.begin(), sample_ids_.end(), 0U);
}

std::span<const std::uint32_t> EpochOrder::order(std::uint64_t epoch) {
  if (shuffle_ && !(is_shuffled_ && epoch_ == epoch)) shuffle_for(epoch);
  return sample_ids_;
}

void EpochOrder::shuffle_for(std::uint64_t epoch) {
  // Each shuffle begins with the order of the file. Otherwise the order would depend on the epochs before.
  std::iota(sample_ids_.begin(), sample_ids_.end(), 0U);
  const CounterRng rng(seed_, Purpose::epoch_order, static_cast<std::uint32_t>(epoch),
                       static_cast<std::uint32_t>(epoch >> 32));
  for (auto last = static_cast<std::uint32_t>(sample_ids_.size() - 1); last > 0; --last) {
    std::swap(sample_ids_[last], sample_ids_[rng.below(last + 1, last)]);
  }
  is_shuffled_ = true;
  epoch_ = epoch;
}

}  // namespace fcmnist::data
