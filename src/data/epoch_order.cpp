#include "data/epoch_order.hpp"

#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "core/error.hpp"

namespace fcmnist::data {

void shuffle(std::span<std::uint32_t> ids, const CounterRng& rng) {
  for (auto last = static_cast<std::uint32_t>(ids.size() - 1); last > 0; --last) {
    std::swap(ids[last], ids[rng.below(last + 1, last)]);
  }
}

std::vector<std::uint32_t> all_ids(std::size_t samples) {
  FCMNIST_CHECK(samples <= std::numeric_limits<std::uint32_t>::max(), std::to_string(samples));
  std::vector<std::uint32_t> ids(samples);
  std::iota(ids.begin(), ids.end(), 0U);
  return ids;
}

EpochOrder::EpochOrder(std::vector<std::uint32_t> ids, std::uint64_t seed, bool shuffle)
    : ids_(std::move(ids)), ordered_(ids_), seed_(seed), shuffle_(shuffle) {
  FCMNIST_CHECK(!ids_.empty(), "no samples");
}

std::span<const std::uint32_t> EpochOrder::order(std::uint64_t epoch) {
  if (shuffle_ && !(is_shuffled_ && epoch_ == epoch)) shuffle_for(epoch);
  return ordered_;
}

void EpochOrder::shuffle_for(std::uint64_t epoch) {
  ordered_ = ids_;  // otherwise the order would depend on the epochs before
  shuffle(ordered_, CounterRng(seed_, Purpose::epoch_order, static_cast<std::uint32_t>(epoch),
                               static_cast<std::uint32_t>(epoch >> 32)));
  is_shuffled_ = true;
  epoch_ = epoch;
}

}  // namespace fcmnist::data
