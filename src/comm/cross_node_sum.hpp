#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/node_counters.hpp"
#include "comm/node_gradients.hpp"
#include "comm/options.hpp"
#include "comm/ring_allreduce.hpp"
#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/layout.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

/// Parts that one sender has on their way, so that the network is busy while it adds one.
constexpr int rings_at_once = 4;

/// Bytes of a gradient that a node sends in a step, without the small numbers.
///   parts       of the flat gradient
///   node        its place among the nodes
///   wire_bytes  of one number, see wire_number_bytes()
std::size_t bytes_sent_between_nodes(std::span<const Range> parts, int nodes, int node,
                                     std::size_t wire_bytes);

/// The sum of gradients over several nodes, part by part, behind the rest of the backward pass.
///
/// A part goes through three hands: every rank of a node has written it; every rank has added up the node's
/// gradients of the blocks that it owns; a ring between the nodes has added up the sums of the nodes. Nobody
/// waits on the way: whoever calls advance() does what has become possible. The first rank of every node
/// drives the ring, a few parts at a time; with several `streams`
/// the parts are dealt to so many ranks of each node, which do so at the same time.
///
/// Cost on P nodes for N numbers: every node sends and receives 2 (P-1)/P N numbers, in 2 (P-1) steps for
/// each part, and P times the small numbers in one all-gather. A step moves on when its node's sender looks,
/// after each part of backward: on many nodes the first parts hide only some of their steps. The order of
/// additions depends on the world and on `streams`, which matters for float, not for std::int64_t.
template <class Number>
class CrossNodeSum {
 public:
  /// Collective over the world. `parts`: ranges of the flat gradient, in the order in which they are written;
  /// `my_blocks[p]`: the blocks of part p that this rank owns. All references must outlive it.
  CrossNodeSum(const Topology& topology, const Layout& layout, NodeGradients<Number>& gradients,
               std::span<const Range> parts, std::vector<std::vector<Block>> my_blocks,
               std::size_t small_count, const CommOptions& options);
  ~CrossNodeSum();

  /// This rank's small numbers are written.
  void post_small();
  /// This rank has written the next part.
  void post_part();
  /// Does what can be done without waiting. True when all parts and small numbers of the step are summed.
  bool advance();

  /// After advance() was true: the sums.
  [[nodiscard]] std::span<const Number> total(const Block& block) const {
    return {total_.data() + block.offset, block.count};
  }
  [[nodiscard]] std::span<const double> small_total() const { return small_total_.all(); }

 private:
  enum Counter : std::size_t {
    small_written,   ///< steps
    written,         ///< parts
    summed,          ///< parts, over the node
    finished,        ///< number of the next part of this rank's ring
    small_finished,  ///< steps, on the leader
  };
  struct SmallGather;

  [[nodiscard]] bool drives_rings() const { return topology_->node().rank() < streams_; }
  void sum_over_node();
  void drive_rings();
  [[nodiscard]] RingAllreduce<Number>& ring_of(std::uint64_t part);
  void gather_small();
  [[nodiscard]] bool finished_everywhere() const;

  const Topology* topology_;
  NodeGradients<Number>* gradients_;
  std::span<const Range> parts_;
  std::vector<std::vector<Block>> my_blocks_;
  int streams_;
  SharedArray<Number> total_;  ///< the sum over this node, then over all nodes
  SharedArray<double> small_total_;
  NodeCounters counters_;
  std::vector<RingAllreduce<Number>> rings_;  ///< of this stream, used in turn
  std::unique_ptr<SmallGather> small_gather_;

  // Since the start of training: part p of step n has number n * parts + p.
  std::uint64_t steps_begun_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t summed_ = 0;
  std::uint64_t next_to_start_ = 0;   ///< of this stream
  std::uint64_t next_to_finish_ = 0;  ///< same
};

}  // namespace fcmnist::comm
