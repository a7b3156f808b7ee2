#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "comm/node_barrier.hpp"
#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/layout.hpp"

namespace fcmnist::comm {

/// Who uses which part of a gradient. The flat array is cut into blocks (core/layout.hpp), dealt round robin
/// over the ranks of a node, so that all have work in every layer; the owner of a block updates its weights
/// and gives them to the others (Replica). The same on every node.
class BlockOwners {
 public:
  /// Collective over the node. `layout` is not kept.
  BlockOwners(const Topology& topology, const Layout& layout, bool give_way);

  [[nodiscard]] std::span<const Block> blocks() const { return blocks_; }
  /// Blocks that this rank owns, by index into blocks().
  [[nodiscard]] std::span<const std::size_t> owned() const { return owned_; }
  /// Blocks that other ranks of the node own. Every rank begins at another place of the list.
  [[nodiscard]] std::span<const std::size_t> owned_by_others() const { return owned_by_others_; }

  /// Records a number for an owned block; after share_block_values() every rank has the same sums.
  void set_block_value(std::size_t block_index, double value) { block_value(block_index) = value; }
  /// Collective over the node: waits until all block values are set.
  void share_block_values() { barrier_.wait(); }
  /// sums[s] = the values of the blocks of slot s of the layout, added in block order.
  void sum_block_values(std::span<double> sums) const;

  /// Collective over the node: what the owners wrote is seen by all ranks, and gradients may be overwritten.
  void publish() { barrier_.wait(); }
  /// How often this rank has waited for the others of its node in one of these functions.
  [[nodiscard]] std::uint64_t waits() const { return barrier_.waits(); }

  /// How many of `blocks` blocks a rank owns: the first rank of a node owns the most, the last one the least.
  static std::size_t owned_count(std::size_t blocks, int node_ranks, int node_rank);
  /// Bytes of shared memory that one rank of the node allocates.
  static std::size_t bytes_per_rank(const Seat& seat, const Layout& layout);

 protected:
  [[nodiscard]] const PolledWait& patience() const { return patience_; }
  [[nodiscard]] NodeBarrier& barrier() { return barrier_; }

 private:
  [[nodiscard]] double& block_value(std::size_t block_index) const;

  const Topology* topology_;
  std::vector<Block> blocks_;
  std::vector<std::size_t> owned_, owned_by_others_;
  PolledWait patience_;
  SharedWindow block_values_;  ///< per rank: one for each block that it owns, so that no line has two writers
  NodeBarrier barrier_;
};

}  // namespace fcmnist::comm
