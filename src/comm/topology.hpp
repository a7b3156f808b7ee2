#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.hpp"

namespace fcmnist::comm {

/// Where a rank sits in a world, or in a part of it: what the size of its shared memory depends on.
struct Seat {
  int node_ranks = 1;  ///< of its node
  bool is_leader = true;
  int nodes = 1;
};

/// Which ranks of a world, or of a part of it, share a node.
class Topology {
 public:
  /// `ranks_per_node` > 0 pretends that nodes have that many ranks, to try the paths between nodes on one
  /// machine.
  explicit Topology(const Communicator& world, int ranks_per_node = 0);
  /// Of `part`, a group of ranks that split(color) has made of whole.world(): they share a node if they do so
  /// in `whole`. Collective over the whole world.
  Topology(const Topology& whole, const Communicator& part, int color);

  /// The ranks that this is about: all, or those of the part.
  [[nodiscard]] const Communicator& world() const { return *world_; }
  [[nodiscard]] const Communicator& node() const { return node_; }
  /// The ranks that have the same rank within their nodes. The group of the nodes' first ranks, the leaders,
  /// spans all nodes; others leave out the nodes that have fewer ranks.
  [[nodiscard]] const Communicator& peers() const { return peers_; }
  [[nodiscard]] bool is_leader() const { return node_.rank() == 0; }
  [[nodiscard]] int node_count() const { return node_count_; }
  [[nodiscard]] Seat seat() const { return {node_.size(), is_leader(), node_count_}; }
  /// Ranks of the node that has the fewest.
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
  std::vector<int> world_ranks_;
};

/// What one rank may use of its node.
struct RankPlacement {
  std::string host;
  int node = 0;            ///< number of its node, by lowest rank
  std::vector<int> cores;  ///< logical processors that it is bound to
};

/// Placement of every rank, in rank order. Collective.
std::vector<RankPlacement> gather_placement(const Topology& topology);

/// Of a world that is not there: `ranks` dealt to `nodes` like this host in runs of equal length, or one
/// more.
std::vector<RankPlacement> planned_placement(int ranks, int nodes);

/// What is wrong with a placement, one line each: more threads than cores on a node, several ranks bound to
/// one core.
std::vector<std::string> placement_warnings(std::span<const RankPlacement> ranks, int threads_per_rank);

/// "4 ranks on 2 nodes (2 per node), 2 cores per node, 1 BLAS thread per rank"
std::string describe_placement(std::span<const RankPlacement> ranks, int threads_per_rank);

/// Of the node that has the most threads for each core.
double threads_per_core(std::span<const RankPlacement> ranks, int threads_per_rank);

/// True when some node has more ranks than cores that they may use: waiting ranks should give way at once.
bool oversubscribed(std::span<const RankPlacement> ranks);

/// Bytes of shared memory that this host has left for windows; nothing if that cannot be known.
std::optional<std::size_t> free_shared_memory();
/// Bytes of memory that this host has.
std::size_t host_memory();

/// Throws CommError when the node's shared memory cannot hold `bytes` more (the sum over the node's ranks of
/// what they are about to allocate). Collective over the world.
void check_shared_memory(const Topology& topology, std::size_t my_bytes);

}  // namespace fcmnist::comm
