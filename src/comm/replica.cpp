#include "comm/replica.hpp"

#include <algorithm>

namespace fcmnist::comm {

namespace {

std::size_t shared_numbers(const Seat& seat, const Layout& layout) {
  return seat.node_ranks > 1 ? layout.size() : 0;
}

}  // namespace

std::size_t Replica::shared_bytes(const Seat& seat, const Layout& layout) {
  return shared_numbers(seat, layout) * sizeof(float);
}

Replica::Replica(const Topology& topology, const Layout& layout)
    : topology_(&topology),
      layout_(&layout),
      mine_(layout.size()),
      offered_(topology.node(), shared_numbers(topology.seat(), layout)) {}

void Replica::offer(const Block& block) const {
  if (topology_->node().size() > 1) std::ranges::copy(mine().block(block), offered_.data() + block.offset);
}

void Replica::take(const Block& block) const {
  std::copy_n(offered_.data() + block.offset, block.count, mine_.data() + block.offset);
}

void Replica::spread() {
  if (topology_->is_leader()) {
    topology_->peers().broadcast(mine().all(), 0);
    std::ranges::copy(mine().all().first(offered_.all().size()), offered_.data());
  }
  topology_->world().barrier();
  if (!topology_->is_leader()) std::ranges::copy(offered_.all(), mine_.data());
  topology_->world().barrier();
}

}  // namespace fcmnist::comm
