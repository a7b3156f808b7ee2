#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "core/layout.hpp"

namespace fcmnist::comm {

/// The gradients of all ranks of a node, and a few small numbers with each gradient. A rank writes its own
/// gradient and can read those of all ranks. The users of this class must see to it that a rank reads only
/// what is complete.
///   Number  float, or std::int64_t for sums in fixed point
template <class Number>
class NodeGradients {
 public:
  /// Collective over the node. `layout` must outlive the gradients.
  NodeGradients(const Topology& topology, const Layout& layout, std::size_t small_count);

  [[nodiscard]] ArenaView<Number> mine() const { return of(topology_->node().rank()); }
  [[nodiscard]] std::span<double> my_small() const { return small_of(topology_->node().rank()); }
  /// The gradients that the ranks have for a block, in rank order. The span is valid until the next call.
  [[nodiscard]] std::span<const Number* const> sources(const Block& block);
  /// Writes to `sum` the small numbers of all ranks, added in rank order.
  void sum_small(std::span<double> sum) const;

  /// Bytes of shared memory for the gradient and the small numbers of one rank.
  static std::size_t bytes(const Layout& layout, std::size_t small_count);

 private:
  [[nodiscard]] ArenaView<Number> of(int node_rank) const;
  [[nodiscard]] std::span<double> small_of(int node_rank) const;

  const Topology* topology_;
  const Layout* layout_;
  std::size_t small_count_;
  SharedWindow window_;  ///< The segment of a rank holds its gradient, then its small numbers.
  std::vector<const Number*> sources_;
};

}  // namespace fcmnist::comm
