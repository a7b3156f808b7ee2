#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "comm/block_owners.hpp"
#include "comm/cross_node_sum.hpp"
#include "comm/node_gradients.hpp"
#include "comm/options.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "core/layout.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

/// Forms the sum of all ranks' gradients, and divides among the ranks the work that is done with it.
///
/// Gradients lie in a window that the node's ranks share. The owner of a block (BlockOwners) adds the node's
/// gradients of this block in rank order. With several nodes, CrossNodeSum adds the sums of the nodes while
/// the rest of the backward pass runs. One step is
///
///   begin(small numbers);  per part: write local_gradient(), post();  wait_for_node();  finish();
///   for block in owned(): use sources(block), offer;  publish();  for block in owned_by_others(): take
///
/// Cost per step on one node with R ranks and N numbers: each rank reads N/R numbers of every rank, and waits
/// twice. The results have the same bits on every node, and in every run on the same world.
///   Number  float, or std::int64_t for sums in fixed point, which have the same bits in any world
template <class Number>
class GradientExchange : public BlockOwners {
 public:
  /// Collective. `layout` must outlive the exchange.
  ///   parts        ranges that cover the flat gradient, in the order in which they are written; every block
  ///                lies in one part
  ///   small_count  how many numbers are summed besides the gradient
  ///   give_way     see PolledWait::in_step()
  GradientExchange(const Topology& topology, const Layout& layout, std::vector<Range> parts,
                   std::size_t small_count, const CommOptions& options, bool give_way);

  /// Bytes of shared memory that one rank of the node allocates.
  static std::size_t bytes_per_rank(const Seat& seat, const Layout& layout, std::size_t small_count);

  /// Where this rank writes its gradient.
  [[nodiscard]] ArenaView<Number> local_gradient() const { return gradients_.mine(); }
  [[nodiscard]] std::span<const Range> parts() const { return parts_; }

  /// Begins a step with this rank's small numbers, which are to be summed over all ranks.
  void begin(std::span<const double> small);
  /// Tells the other ranks that this rank has written the next part of the gradient. Never waits.
  void post();
  /// Waits until all ranks of the node have posted all parts. Collective.
  void wait_for_node();
  /// After wait_for_node(): waits until the parts of all nodes are summed. Returns the sums of the small
  /// numbers, which have the same bits on every rank. Collective.
  std::span<double> finish();

  /// The arrays whose sum, in this order, is the global gradient of this block. To be called after finish().
  /// The span is valid until the next call, and the numbers until publish().
  [[nodiscard]] std::span<const Number* const> sources(const Block& block);

 private:
  std::vector<Range> parts_;
  NodeGradients<Number> gradients_;
  std::optional<CrossNodeSum<Number>> across_nodes_;  ///< It exists only with several nodes.
  std::vector<double> small_sum_;
  const Number* single_source_ = nullptr;
};

}  // namespace fcmnist::comm
