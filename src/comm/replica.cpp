#include "comm/replica.hpp"

#include <algorithm>

namespace fcmnist::comm {

namespace {

std::size_t shared_numbers(const Seat& seat, const Layout& layout) {
  return seat.node_ranks > 1 ? layout.size() : 0;
}

}  // namespace

template <class T>
std::size_t BasicReplica<T>::shared_bytes(const Seat& seat, const Layout& layout) {
  return shared_numbers(seat, layout) * sizeof(T);
}

template <class T>
BasicReplica<T>::BasicReplica(const Topology& topology, const Layout& layout)
    : topology_(&topology),
      layout_(&layout),
      mine_(layout.size()),
      offered_(topology.node(), shared_numbers(topology.seat(), layout)) {}

template <class T>
void BasicReplica<T>::offer(const Block& block) const {
  if (topology_->node().size() > 1) std::ranges::copy(mine().block(block), offered_.data() + block.offset);
}

template <class T>
void BasicReplica<T>::take(const Block& block) const {
  std::copy_n(offered_.data() + block.offset, block.count, mine_.data() + block.offset);
}

void spread(const Replica& replica) {
  const Topology& topology = *replica.topology_;
  if (topology.is_leader()) {
    topology.peers().broadcast(replica.mine().all(), 0);
    std::ranges::copy(replica.mine().all().first(replica.offered_.all().size()), replica.offered_.data());
  }
  topology.world().barrier();
  if (!topology.is_leader()) std::ranges::copy(replica.offered_.all(), replica.mine_.data());
  topology.world().barrier();
}

template class BasicReplica<float>;
template class BasicReplica<BFloat16>;
template class BasicReplica<Float16>;

}  // namespace fcmnist::comm
