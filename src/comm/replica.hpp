#pragma once

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "core/half.hpp"
#include "core/layout.hpp"

namespace fcmnist::comm {

/// Numbers of which every rank of a node has its own copy, in memory that no other core writes to. The owner
/// of a block writes it in its copy and offers it; after a barrier the others take it.
///
/// Why not one copy for the node: the packing of a GEMM reads lines that another core has just written piece
/// by piece, and waits for each; a copy in one go reads them at several times that speed.
template <class T>
class BasicReplica {
 public:
  /// Collective over the node. `layout` must outlive it. All numbers are 0 at first.
  BasicReplica(const Topology& topology, const Layout& layout);

  [[nodiscard]] ArenaView<T> mine() const { return {*layout_, mine_.data()}; }

  /// The owner has written the block in its copy.
  void offer(const Block& block) const;
  /// Another rank has offered the block, and there has been a barrier since; the next offer() of the block
  /// comes after another one.
  void take(const Block& block) const;
  /// Bytes of shared memory that the node needs for it.
  static std::size_t shared_bytes(const Seat& seat, const Layout& layout);

 private:
  friend void spread(const BasicReplica<float>& replica);

  const Topology* topology_;
  const Layout* layout_;
  AlignedArray<T> mine_;
  SharedArray<T> offered_;  ///< empty when the node has one rank
};

using Replica = BasicReplica<float>;

/// Everybody gets the numbers of the world's rank 0. Collective over the world.
void spread(const Replica& replica);

extern template class BasicReplica<float>;
extern template class BasicReplica<BFloat16>;
extern template class BasicReplica<Float16>;

}  // namespace fcmnist::comm
