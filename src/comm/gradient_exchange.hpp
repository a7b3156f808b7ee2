#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "comm/cross_node_sum.hpp"
#include "comm/node_barrier.hpp"
#include "comm/node_gradients.hpp"
#include "comm/options.hpp"
#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "core/layout.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

/// Turns the gradients of all ranks into one sum, and divides the work of using it.
///
/// Gradients lie in a window that the node's ranks share. The flat gradient is cut into blocks
/// (core/layout.hpp), dealt round robin over the ranks of a node, so that all have work in every layer; the
/// owner of a block adds the node's gradients of it in rank order, updates the weights of it and gives them
/// to the others (Replica). Between nodes, the sums of the nodes travel behind the rest of the backward pass
/// (CrossNodeSum). One step is
///
///   begin(small numbers);  per part: write local_gradient(), post();  finish();
///   for block in owned(): use sources(block), offer;  publish();  for block in owned_by_others(): take
///
/// Cost per step on one node with R ranks and N numbers: N/R numbers read from each rank, two waits. Results
/// are the same bits on every node, and from run to run on the same world.
class GradientExchange {
 public:
  /// Collective. `layout` must outlive the exchange. `parts`: ranges of the flat gradient that cover it, in
  /// the order in which they are written; blocks lie in one part. `small_count`: numbers that are summed
  /// besides the gradient.
  GradientExchange(const Topology& topology, const Layout& layout, std::vector<Range> parts,
                   std::size_t small_count, const CommOptions& options, bool give_way);

  /// Bytes of shared memory that one rank of the node allocates.
  static std::size_t bytes_per_rank(const Topology& topology, const Layout& layout, std::size_t small_count);

  /// Where this rank writes its gradient.
  [[nodiscard]] ArenaView<float> local_gradient() const { return gradients_.mine(); }

  /// Blocks whose sum this rank uses, by index into blocks().
  [[nodiscard]] std::span<const std::size_t> owned() const { return owned_; }
  /// Blocks that other ranks of the node own. Every rank begins at another place of the list.
  [[nodiscard]] std::span<const std::size_t> owned_by_others() const { return owned_by_others_; }
  [[nodiscard]] std::span<const Block> blocks() const { return blocks_; }

  /// This rank's share of the numbers to be summed over all ranks.
  void begin(std::span<const double> small);
  /// The next part of the gradient is written. Never waits.
  void post();
  /// Collective: waits until all parts of all ranks are posted, and summed over nodes. Returns the sums of
  /// the small numbers: added in rank order in a node, then in node order.
  std::span<const double> finish();

  /// After finish(): the arrays whose sum over this block, in this order, is the global gradient. Valid until
  /// the next call, the numbers until publish().
  [[nodiscard]] std::span<const float* const> sources(const Block& block);
  /// After finish(), for an owned block: adds its sources into one array, and returns the sum of the squares.
  /// From then on collected(block) is that array, and sources(block) must not be used any more.
  double collect(const Block& block);
  [[nodiscard]] std::span<const float* const> collected(const Block& block);

  /// Records a number for an owned block; after share_block_values() their sum over all blocks, added in
  /// block order, is the same on every rank.
  void set_block_value(std::size_t block_index, double value) { block_value(block_index) = value; }
  /// Collective over the node: waits until all block values are set.
  void share_block_values() { barrier_.wait(); }
  [[nodiscard]] double sum_of_block_values() const;

  /// Collective: what the owners wrote is seen by the whole node, and gradients may be overwritten.
  void publish() { barrier_.wait(); }

 private:
  [[nodiscard]] double& block_value(std::size_t block_index) const;

  const Topology* topology_;
  std::vector<Range> parts_;
  std::vector<Block> blocks_;
  std::vector<std::size_t> owned_, owned_by_others_;
  PolledWait patience_;
  NodeGradients gradients_;
  SharedWindow block_values_;  ///< per rank: one for each block that it owns, so that no line has two writers
  NodeBarrier barrier_;
  std::optional<CrossNodeSum> across_nodes_;  ///< several nodes only
  std::vector<double> small_sum_;
  const float* single_source_ = nullptr;
};

}  // namespace fcmnist::comm
