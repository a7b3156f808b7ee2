#pragma once

#include <cstdint>

#include "comm/node_counters.hpp"
#include "comm/polled_wait.hpp"
#include "comm/topology.hpp"

namespace fcmnist::comm {

/// A barrier over shared memory for the ranks of one node. After the barrier every rank sees what any rank
/// wrote before it. Every rank counts its own arrivals and watches the counters of the others. Cost on a node
/// of R ranks: each rank writes one cache line and reads R-1 lines. It makes no system call if all ranks come
/// in time.
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
  std::uint64_t count_ = 0;  ///< how often this rank has arrived
};

}  // namespace fcmnist::comm
