#include "comm/topology.hpp"

#include <cstdint>
#include <utility>

namespace fcmnist::comm {

namespace {

Communicator node_of(const Communicator& world, int ranks_per_node) {
  return ranks_per_node > 0 ? world.split(world.rank() / ranks_per_node) : world.split_by_node();
}

}  // namespace

Topology::Topology(const Communicator& world, int ranks_per_node)
    : Topology(world, node_of(world, ranks_per_node)) {}

Topology::Topology(const Topology& whole, const Communicator& part, int color)
    : Topology(part, whole.node().split(color)) {}

Topology::Topology(const Communicator& world, Communicator node)
    : world_(&world),
      node_(std::move(node)),
      peers_(world.split(node_.rank())),
      smallest_node_(static_cast<int>(world.min(node_.size()))),
      world_ranks_(node_.all_gather(world.rank())) {
  std::int64_t leaders[] = {node_.rank() == 0 ? 1 : 0};
  world.sum(leaders);
  node_count_ = static_cast<int>(leaders[0]);
}

}  // namespace fcmnist::comm
