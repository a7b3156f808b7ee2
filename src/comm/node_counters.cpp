#include "comm/node_counters.hpp"

#include <new>

namespace fcmnist::comm {

NodeCounters::NodeCounters(const Topology& topology)
    : topology_(&topology), window_(topology.node(), per_rank * sizeof(Counter)) {
  for (std::size_t which = 0; which < per_rank; ++which)
    new (&counter(topology.node().rank(), which)) Counter(0);
  topology.node().barrier();
}

NodeCounters::Counter& NodeCounters::counter(int node_rank, std::size_t which) const {
  return *std::launder(reinterpret_cast<Counter*>(window_.segment(node_rank).data()) + which);
}

void NodeCounters::set(std::size_t which, std::uint64_t value) {
  counter(topology_->node().rank(), which).store(value, std::memory_order_release);
}

std::optional<int> NodeCounters::first_behind(std::size_t which, std::uint64_t value) const {
  for (int rank = 0; rank < topology_->node().size(); ++rank) {
    if (!reached(rank, which, value)) return rank;
  }
  return std::nullopt;
}

}  // namespace fcmnist::comm
