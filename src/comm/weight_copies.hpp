#pragma once

#include <cstddef>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

/// Weights of which every rank of a node has its own copy, in memory that no other core writes to. The owner
/// of a range writes it in its copy and offers it; after a barrier the others take it. What the numbers are
/// does not matter here, only how many bytes one has.
///
/// Why not one copy for the node: the packing of a GEMM reads lines that another core has just written piece
/// by piece, and waits for each; a copy in one go reads them at several times that speed.
class WeightCopies {
 public:
  /// Collective over the node. All bytes are 0 at first.
  WeightCopies(const Topology& topology, std::size_t numbers, std::size_t number_bytes);

  /// The copy of this rank, aligned to 64 bytes.
  [[nodiscard]] std::byte* mine() const { return mine_.data(); }

  /// The owner has written these numbers in its copy.
  void offer(Range numbers) const;
  /// Another rank has offered these numbers, and there has been a barrier since; the next offer() of them
  /// comes after another one.
  void take(Range numbers) const;
  /// Every rank of the topology gets the copy of its rank 0. Collective over the topology.
  void spread() const;

  /// Bytes of shared memory that the node needs for it.
  static std::size_t shared_bytes(const Seat& seat, std::size_t numbers, std::size_t number_bytes);

 private:
  [[nodiscard]] bool is_shared() const { return topology_->node().size() > 1; }

  const Topology* topology_;
  std::size_t number_bytes_;
  AlignedArray<std::byte> mine_;
  SharedArray<std::byte> offered_;  ///< empty when the node has one rank
};

}  // namespace fcmnist::comm
