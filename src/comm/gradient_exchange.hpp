#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "comm/node_barrier.hpp"
#include "comm/options.hpp"
#include "comm/ring_allreduce.hpp"
#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "core/layout.hpp"

namespace fcmnist::comm {

/// Turns the gradients of all ranks into one sum, and divides the work of using it.
///
/// Gradients lie in a window that the node's ranks share. The flat gradient is cut into blocks
/// (core/layout.hpp), dealt round robin over the ranks of a node; the owner of a block adds the node's
/// gradients of it in rank order and updates the weights of it, which all ranks of the node share as well.
/// Between nodes, the sums of the nodes are added by the nodes' leaders. One step is
///
///   write local_gradient();  reduce(small numbers);  for block in owned(): use sources(block);  publish();
///
/// Cost per step on a node with R ranks and N numbers: N/R numbers read from each rank, two waits; with
/// several nodes two more waits and one MPI_Allreduce of N numbers among the leaders. Results are the same
/// bits on every node, and from run to run on the same world.
class GradientExchange {
 public:
  /// Collective. `layout` must outlive the exchange. `small_count`: numbers that reduce() sums besides the
  /// gradient.
  GradientExchange(const Topology& topology, const Layout& layout, std::size_t small_count,
                   const CommOptions& options, bool give_way);

  /// Bytes of shared memory that one rank of the node allocates.
  static std::size_t bytes_per_rank(const Topology& topology, const Layout& layout, std::size_t small_count);

  /// Where this rank writes its gradient.
  [[nodiscard]] ArenaView<float> local_gradient() const { return gradient_of(topology_->node().rank()); }

  /// Blocks whose sum this rank uses, by index into blocks().
  [[nodiscard]] std::span<const std::size_t> owned() const { return owned_; }
  [[nodiscard]] std::span<const Block> blocks() const { return blocks_; }

  /// Collective: all gradients are written. `small` is replaced by its sum over all ranks, added in rank
  /// order within a node.
  void reduce(std::span<double> small);

  /// After reduce(): the arrays whose sum over this block, in this order, is the global gradient. Valid until
  /// publish().
  [[nodiscard]] std::span<const float* const> sources(const Block& block);

  /// Records a number for an owned block; after share_block_values() their sum over all blocks, added in
  /// block order, is the same on every rank.
  void set_block_value(std::size_t block_index, double value) { block_values_.data()[block_index] = value; }
  /// Collective over the node: waits until all block values are set.
  void share_block_values() { barrier_.wait(); }
  [[nodiscard]] double sum_of_block_values() const;

  /// Collective: what the owners wrote is seen by the whole node, and gradients may be overwritten.
  void publish() { barrier_.wait(); }

 private:
  [[nodiscard]] ArenaView<float> gradient_of(int node_rank) const;
  [[nodiscard]] std::span<double> small_of(int node_rank) const;
  [[nodiscard]] std::span<const float* const> sources_of_node(const Block& block);
  void sum_over_nodes(std::span<double> small);

  const Topology* topology_;
  const Layout* layout_;
  std::size_t small_count_;
  std::vector<Block> blocks_;
  std::vector<std::size_t> owned_;
  SharedWindow gradients_;            ///< per rank: its gradient, then its small numbers
  SharedArray<double> block_values_;  ///< one per block
  SharedArray<float> total_;          ///< several nodes only: the sum over this node, then over all nodes
  SharedArray<double> small_total_;
  NodeBarrier barrier_;
  RingAllreduce ring_;  ///< among the leaders
  std::vector<const float*> sources_;
};

}  // namespace fcmnist::comm
