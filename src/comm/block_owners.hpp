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

/// Sums of squares over a block, which its owner finds out for all ranks.
enum class Squares : std::size_t {
  of_gradient,
  of_weights_before,  ///< before the update, and
  of_direction,       ///< what an optimizer of two phases needs with it
  of_weights,         ///< after the update
  of_update,
  count
};

/// Which rank uses which part of a gradient. The flat array is cut into blocks (core/layout.hpp). The blocks
/// are dealt round robin to the ranks of a node, so that every rank has work in every layer. The owner of a
/// block updates its weights and gives them to the other ranks (WeightCopies). All nodes divide the blocks in
/// the same way.
class BlockOwners {
 public:
  /// Collective over the node. `layout` is not kept.
  BlockOwners(const Topology& topology, const Layout& layout, bool give_way);

  [[nodiscard]] std::span<const Block> blocks() const { return blocks_; }
  /// The indices in blocks() of the blocks that this rank owns.
  [[nodiscard]] std::span<const std::size_t> owned() const { return owned_; }
  /// The indices of the blocks that other ranks of the node own. Every rank begins at another place of the
  /// list, so that the ranks do not all read from one owner at the same time.
  [[nodiscard]] std::span<const std::size_t> owned_by_others() const { return owned_by_others_; }

  /// Records a number for an owned block; after share_squares() or publish() every rank has the same sums.
  void set_squares(Squares which, std::size_t block_index, double value) {
    squares(which, block_index) = value;
  }
  /// Collective over the node: waits until all numbers are set.
  void share_squares() { barrier_.wait(); }
  /// Writes to sums[s] the sum over the blocks of slot s of the layout, added in block order.
  void sum_squares(Squares which, std::span<double> sums) const;

  /// Collective over the node: afterwards all ranks see what the owners wrote, and may overwrite gradients.
  void publish() { barrier_.wait(); }
  /// How often this rank has waited for the other ranks of its node in one of these functions.
  [[nodiscard]] std::uint64_t waits() const { return barrier_.waits(); }

  /// How many of `blocks` blocks a rank owns. The first rank of a node owns the most, the last one the
  /// fewest.
  static std::size_t owned_count(std::size_t blocks, int node_ranks, int node_rank);
  /// Bytes of shared memory that one rank of the node allocates.
  static std::size_t bytes_per_rank(const Seat& seat, const Layout& layout);

 protected:
  [[nodiscard]] const PolledWait& patience() const { return patience_; }
  [[nodiscard]] NodeBarrier& barrier() { return barrier_; }

 private:
  [[nodiscard]] double& squares(Squares which, std::size_t block_index) const;

  const Topology* topology_;
  std::vector<Block> blocks_;
  std::vector<std::size_t> owned_, owned_by_others_;
  PolledWait patience_;
  /// Each rank writes the numbers of its own blocks to its own segment, so that no cache line has two writers.
  SharedWindow squares_;
  NodeBarrier barrier_;
};

}  // namespace fcmnist::comm
