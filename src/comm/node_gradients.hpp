#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "core/layout.hpp"

namespace fcmnist::comm {

/// The gradients of all ranks of a node, and a few numbers that go with each: written by their rank, seen by
/// all. Says nothing about when.
///   Number  float, or std::int64_t for sums in fixed point
template <class Number>
class NodeGradients {
 public:
  /// Collective over the node. `layout` must outlive it.
  NodeGradients(const Topology& topology, const Layout& layout, std::size_t small_count);

  [[nodiscard]] ArenaView<Number> mine() const { return of(topology_->node().rank()); }
  [[nodiscard]] std::span<double> my_small() const { return small_of(topology_->node().rank()); }
  /// The ranks' gradients of a block, in rank order. Valid until the next call.
  [[nodiscard]] std::span<const Number* const> sources(const Block& block);
  /// The ranks' small numbers, added in rank order.
  void sum_small(std::span<double> sum) const;

  static std::size_t bytes(const Layout& layout, std::size_t small_count);

 private:
  [[nodiscard]] ArenaView<Number> of(int node_rank) const;
  [[nodiscard]] std::span<double> small_of(int node_rank) const;

  const Topology* topology_;
  const Layout* layout_;
  std::size_t small_count_;
  SharedWindow window_;  ///< per rank: its gradient, then its small numbers
  std::vector<const Number*> sources_;
};

}  // namespace fcmnist::comm
