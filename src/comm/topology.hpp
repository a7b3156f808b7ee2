#pragma once

#include <vector>

#include "comm/communicator.hpp"

namespace fcmnist::comm {

/// The place of one rank in a world, or in a part of a world. The size of its shared memory depends on it.
struct Seat {
  int node_ranks = 1;     ///< the number of ranks on the node
  bool is_leader = true;  ///< whether the rank is the first one of its node
  int nodes = 1;          ///< the number of nodes in the world
};

/// Which ranks of a world, or of a part of a world, share a node.
class Topology {
 public:
  /// `ranks_per_node` > 0 pretends that every node has this many ranks. So the paths between nodes can be
  /// tried on one machine. Collective over the world.
  explicit Topology(const Communicator& world, int ranks_per_node = 0);
  /// The topology of `part`, a group of ranks that split(color) has made of whole.world(). Ranks share a node
  /// in the part if they share a node in `whole`. Collective over the whole world.
  Topology(const Topology& whole, const Communicator& part, int color);

  /// All ranks of the world, or all ranks of the part.
  [[nodiscard]] const Communicator& world() const { return *world_; }
  /// The ranks of this rank's node.
  [[nodiscard]] const Communicator& node() const { return node_; }
  /// The ranks that have the same number within their nodes. The first ranks of all nodes are the leaders,
  /// and their group spans all nodes. The other groups leave out the nodes that have fewer ranks.
  [[nodiscard]] const Communicator& peers() const { return peers_; }
  [[nodiscard]] bool is_leader() const { return node_.rank() == 0; }
  [[nodiscard]] int node_count() const { return node_count_; }
  [[nodiscard]] Seat seat() const { return {node_.size(), is_leader(), node_count_}; }
  /// The number of ranks on the node that has the fewest.
  [[nodiscard]] int smallest_node() const { return smallest_node_; }
  /// The world rank of the node's n-th rank.
  [[nodiscard]] int world_rank(int node_rank) const {
    return world_ranks_[static_cast<std::size_t>(node_rank)];
  }

 private:
  Topology(const Communicator& world, Communicator node);

  const Communicator* world_;
  Communicator node_;
  Communicator peers_;
  int node_count_ = 1;
  int smallest_node_ = 1;
  std::vector<int> world_ranks_;  ///< for each rank of the node: its rank in the world
};

}  // namespace fcmnist::comm
