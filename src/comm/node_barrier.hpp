#pragma once

#include <atomic>
#include <cstdint>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"

namespace fcmnist::comm {

/// A barrier over shared memory for the ranks of one node: what was written before it by any of them is seen
/// after it by all. Every rank counts its arrivals in a cache line of its own and watches the others' lines,
/// so a late rank is known by its number. Cost: one line written, size-1 lines read; no system call when all
/// are on time.
class NodeBarrier {
 public:
  /// `give_way`: more ranks than cores, so a waiting rank leaves its core at once instead of spinning.
  NodeBarrier(const Topology& topology, double stall_timeout_s, bool give_way);

  /// Waits for all ranks of the node. The wait polls MPI, so that messages of slower ranks go on; throws
  /// CommError that names the missing ranks when it lasts longer than the stall timeout.
  void wait();

 private:
  using Counter = std::atomic<std::uint64_t>;
  static_assert(Counter::is_always_lock_free);
  [[nodiscard]] Counter& arrivals(int node_rank) const;
  void wait_for(int node_rank);

  const Topology* topology_;
  SharedWindow window_;
  double stall_timeout_s_;
  int spins_before_yield_;
  std::uint64_t count_ = 0;
};

}  // namespace fcmnist::comm
