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

/// Turns the gradients of all ranks into one sum, and divides the work of using it.
///
/// Gradients lie in a window that the node's ranks share. The owner of a block (BlockOwners) adds the node's
/// gradients of it in rank order. Between nodes, the sums of the nodes travel behind the rest of the backward
/// pass (CrossNodeSum). One step is
///
///   begin(small numbers);  per part: write local_gradient(), post();  finish();
///   for block in owned(): use sources(block), offer;  publish();  for block in owned_by_others(): take
///
/// Cost per step on one node with R ranks and N numbers: N/R numbers read from each rank, two waits. Results
/// are the same bits on every node, and from run to run on the same world.
///   Number  float, or std::int64_t for sums in fixed point, which are the same in any world
template <class Number>
class GradientExchange : public BlockOwners {
 public:
  /// Collective. `layout` must outlive the exchange. `parts`: ranges of the flat gradient that cover it, in
  /// the order in which they are written; blocks lie in one part. `small_count`: numbers that are summed
  /// besides the gradient.
  GradientExchange(const Topology& topology, const Layout& layout, std::vector<Range> parts,
                   std::size_t small_count, const CommOptions& options, bool give_way);

  /// Bytes of shared memory that one rank of the node allocates.
  static std::size_t bytes_per_rank(const Seat& seat, const Layout& layout, std::size_t small_count);

  /// Where this rank writes its gradient.
  [[nodiscard]] ArenaView<Number> local_gradient() const { return gradients_.mine(); }
  [[nodiscard]] std::span<const Range> parts() const { return parts_; }

  /// This rank's share of the numbers to be summed over all ranks.
  void begin(std::span<const double> small);
  /// The next part of the gradient is written. Never waits.
  void post();
  /// Collective: waits until all parts of all ranks are posted, and summed over nodes. Returns the sums of
  /// the small numbers: added in rank order in a node, then in node order.
  std::span<double> finish();

  /// After finish(): the arrays whose sum over this block, in this order, is the global gradient. Valid until
  /// the next call, the numbers until publish().
  [[nodiscard]] std::span<const Number* const> sources(const Block& block);

 private:
  std::vector<Range> parts_;
  NodeGradients<Number> gradients_;
  std::optional<CrossNodeSum<Number>> across_nodes_;  ///< several nodes only
  std::vector<double> small_sum_;
  const Number* single_source_ = nullptr;
};

}  // namespace fcmnist::comm
