#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"

namespace fcmnist::comm {

/// Counters in shared memory with which the ranks of a node tell each other how far they are. Each rank has
/// one cache line of counters, and only this rank writes them. A rank that sees a raised counter also sees
/// all that the counter's owner wrote before it raised it.
class NodeCounters {
 public:
  static constexpr std::size_t per_rank = 8;

  /// Collective over the node. All counters are 0 at first.
  explicit NodeCounters(const Topology& topology);

  /// Sets counter `which` of this rank.
  void set(std::size_t which, std::uint64_t value);
  /// Whether counter `which` of a rank is at least `value`.
  [[nodiscard]] bool reached(int node_rank, std::size_t which, std::uint64_t value) const {
    return counter(node_rank, which).load(std::memory_order_acquire) >= value;
  }
  /// The first rank of the node whose counter `which` is below `value`; nothing if there is none.
  [[nodiscard]] std::optional<int> first_behind(std::size_t which, std::uint64_t value) const;

 private:
  using Counter = std::atomic<std::uint64_t>;
  static_assert(Counter::is_always_lock_free);
  [[nodiscard]] Counter& counter(int node_rank, std::size_t which) const;

  const Topology* topology_;
  SharedWindow window_;
};

}  // namespace fcmnist::comm
