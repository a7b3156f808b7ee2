#pragma once

#include <cstdint>

#include "comm/node_counters.hpp"
#include "comm/polled_wait.hpp"
#include "comm/topology.hpp"

namespace fcmnist::comm {

/// A barrier over shared memory for the ranks of one node: what was written before it by any of them is seen
/// after it by all. Every rank counts its arrivals and watches the others' counters. Cost: one cache line
/// written, size-1 lines read; no system call when all are on time.
class NodeBarrier {
 public:
  /// Collective over the node.
  NodeBarrier(const Topology& topology, PolledWait patience)
      : topology_(&topology), patience_(patience), arrivals_(topology) {}

  /// Waits for all ranks of the node. Throws CommError as PolledWait does.
  void wait();
  /// How often this rank has waited.
  [[nodiscard]] std::uint64_t waits() const { return count_; }

 private:
  const Topology* topology_;
  PolledWait patience_;
  NodeCounters arrivals_;
  std::uint64_t count_ = 0;
};

}  // namespace fcmnist::comm
