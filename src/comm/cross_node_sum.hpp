#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "comm/circulant_allreduce.hpp"
#include "comm/node_counters.hpp"
#include "comm/node_gradients.hpp"
#include "comm/options.hpp"
#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/layout.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

/// One sender has this many parts under way, so that the network is busy while it adds one of them, or waits for the next
/// message of one: as many as a sum has rounds, but 4 at least and 8 at most. In the simulated cluster (tests/sim) a step of
/// 64 nodes at 10 Gbit/s waits 16 % longer for the network with 4 than with 8. On two real hosts 8 take 8 % longer than 4.
int sums_at_once(int nodes);

/// Bytes of a gradient that a node sends in a step, without the small numbers.
///   parts       the parts of the flat gradient
///   node        the number of the node, in 0 ... nodes - 1
///   wire_bytes  bytes of one number on the wire, see wire_number_bytes()
std::size_t bytes_sent_between_nodes(std::span<const Range> parts, int nodes, int node,
                                     std::size_t wire_bytes);

/// Memory of its own of a rank that drives sums over the nodes.
///   number_bytes  bytes of one number in memory
std::size_t exchange_buffer_bytes(std::span<const Range> parts, int nodes, std::size_t number_bytes);

/// The sum of gradients over several nodes. It is formed part by part while the rest of the backward pass
/// runs.
///
/// A part is summed in three stages. First every rank of a node writes its gradient. Then every rank adds up
/// the node's gradients of the blocks that it owns. Last the nodes add up the sums of the nodes
/// (CirculantAllreduce). No rank waits for a stage: a rank that calls advance() does what has become possible. The first
/// rank of every node drives these sums, a few parts at a time. With several `streams` this many ranks of each
/// node drive sums at the same time, and the parts are dealt to them.
///
/// Cost on P nodes for N numbers: every node sends and receives 2 (P-1)/P N numbers, in 2 ceil(log2 P) rounds for
/// each part. The small numbers are summed in the same way. A sum makes its next round when the driving
/// rank calls advance(), which it does after each part of the backward pass. On many nodes the backward pass
/// therefore hides only some rounds of the first parts. The order of additions depends on the world and on
/// `streams`. The order matters for float, but not for std::int64_t.
template <class Number>
class CrossNodeSum {
 public:
  /// Collective over the world. All references must outlive the object.
  ///   parts         ranges of the flat gradient, in the order in which they are written
  ///   my_blocks[p]  the blocks of part p that this rank owns
  CrossNodeSum(const Topology& topology, const Layout& layout, NodeGradients<Number>& gradients,
               std::span<const Range> parts, std::vector<std::vector<Block>> my_blocks,
               std::size_t small_count, const CommOptions& options);

  /// Tells the other ranks of the node that this rank has written its small numbers.
  void post_small();
  /// Tells the other ranks of the node that this rank has written the next part.
  void post_part();
  /// Does what can be done without waiting. Returns true when all parts and small numbers of the step are
  /// summed.
  bool advance();

  /// Whether advance() has nothing more to do for this node: all its ranks have posted all parts, and this rank has
  /// summed its blocks of them. The rest is between the nodes.
  [[nodiscard]] bool node_is_summed() const { return summed_ == steps_begun_ * parts_.size(); }

  /// The sums over all nodes, after advance() has returned true.
  [[nodiscard]] std::span<const Number> total(const Block& block) const {
    return {total_.data() + block.offset, block.count};
  }
  [[nodiscard]] std::span<const double> small_total() const { return small_total_.all(); }

 private:
  enum Counter : std::size_t {
    small_written,   ///< the steps whose small numbers this rank has written
    written,         ///< the parts that this rank has written
    summed,          ///< the parts whose owned blocks this rank has summed over the node
    finished,        ///< the number of the next part that this rank must finish
    small_finished,  ///< the steps whose small numbers the leader has summed over the nodes
  };

  [[nodiscard]] bool drives_sums() const { return topology_->node().rank() < streams_; }
  void sum_over_node();
  void drive_sums();
  [[nodiscard]] CirculantAllreduce<Number>& sum_of(std::uint64_t part);
  void sum_small();
  [[nodiscard]] bool finished_everywhere() const;

  const Topology* topology_;
  NodeGradients<Number>* gradients_;
  std::span<const Range> parts_;
  std::vector<std::vector<Block>> my_blocks_;
  int streams_;
  SharedArray<Number> total_;  ///< It first holds the sum over this node, then the sum over all nodes.
  SharedArray<double> small_total_;
  NodeCounters counters_;
  std::vector<CirculantAllreduce<Number>> sums_;         ///< The parts of this stream use them in turn.
  std::vector<double> small_numbers_;                    ///< of this node, then of all
  std::optional<CirculantAllreduce<double>> small_sum_;  ///< The leader has one.

  // Parts are numbered since the start of training: part p of step n has number n * parts + p.
  std::uint64_t steps_begun_ = 0;
  std::uint64_t small_started_ = 0;   ///< the steps whose small numbers the leader has begun to sum
  std::uint64_t written_ = 0;         ///< the number of the next part that this rank writes
  std::uint64_t summed_ = 0;          ///< the number of the next part that this rank sums over the node
  std::uint64_t next_to_start_ = 0;   ///< the number of the next part that this stream starts
  std::uint64_t next_to_finish_ = 0;  ///< the number of the next part that this stream finishes
};

}  // namespace fcmnist::comm
