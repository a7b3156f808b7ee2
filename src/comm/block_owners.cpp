#include "comm/block_owners.hpp"

#include <algorithm>

namespace fcmnist::comm {

namespace {

constexpr auto numbers_of_block = static_cast<std::size_t>(Squares::count);

}  // namespace

BlockOwners::BlockOwners(const Topology& topology, const Layout& layout, bool give_way)
    : topology_(&topology),
      blocks_(blocks_of(layout)),
      patience_(PolledWait::in_step(topology.world().stall_watch(), give_way)),
      squares_(topology.node(), bytes_per_rank(topology.seat(), layout)),
      barrier_(topology, patience_) {
  const auto ranks = static_cast<std::size_t>(topology.node().size());
  const auto me = static_cast<std::size_t>(topology.node().rank());
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (i % ranks == me) owned_.push_back(i);
    // Rank r of R begins at r / R of the list.
    const std::size_t b = (i + me * blocks_.size() / ranks) % blocks_.size();
    if (b % ranks != me) owned_by_others_.push_back(b);
  }
}

std::size_t BlockOwners::owned_count(std::size_t blocks, int node_ranks, int node_rank) {
  const auto ranks = static_cast<std::size_t>(node_ranks);
  return (blocks + ranks - 1 - static_cast<std::size_t>(node_rank)) / ranks;
}

std::size_t BlockOwners::bytes_per_rank(const Seat& seat, const Layout& layout) {
  return owned_count(blocks_of(layout).size(), seat.node_ranks, 0) * numbers_of_block * sizeof(double);
}

/// The blocks are dealt round robin to R ranks: rank b mod R owns block b, as block b / R of its own blocks.
double& BlockOwners::squares(Squares which, std::size_t block_index) const {
  const auto ranks = static_cast<std::size_t>(topology_->node().size());
  const auto of_owner = squares_.segment(static_cast<int>(block_index % ranks));
  const std::size_t place = block_index / ranks * numbers_of_block + static_cast<std::size_t>(which);
  return reinterpret_cast<double*>(of_owner.data())[place];
}

void BlockOwners::sum_squares(Squares which, std::span<double> sums) const {
  std::ranges::fill(sums, 0.0);
  for (std::size_t b = 0; b < blocks_.size(); ++b) sums[blocks_[b].slot] += squares(which, b);
}

}  // namespace fcmnist::comm
