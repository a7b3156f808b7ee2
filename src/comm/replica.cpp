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

template <class T>
void BasicReplica<T>::spread() requires std::is_same_v<T, float> {
  if (topology_->is_leader()) {
    topology_->peers().broadcast(mine().all(), 0);
    std::ranges::copy(mine().all().first(offered_.all().size()), offered_.data());
  }
  topology_->world().barrier();
  if (!topology_->is_leader()) std::ranges::copy(offered_.all(), mine_.data());
  topology_->world().barrier();
}

template class BasicReplica<float>;
template class BasicReplica<BFloat16>;
template class BasicReplica<Float16>;

}  // namespace fcmnist::comm
