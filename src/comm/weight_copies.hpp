#pragma once

#include <cstddef>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

/// Weights of which every rank of a node has its own copy. No other core writes to the memory of this copy.
/// The owner of a range writes it in its own copy and offers it. After a barrier the other ranks take it. Of
/// the numbers only their size matters here.
///
/// A node does not use one common copy, because a GEMM would then pack lines that another core has just
/// written. It reads them piece by piece and waits for each of them. A copy that is made in one go reads the
/// lines at several times this speed.
class WeightCopies {
 public:
  /// Collective over the node. All bytes are 0 at first.
  WeightCopies(const Topology& topology, std::size_t numbers, std::size_t number_bytes);

  /// The copy of this rank, aligned to 64 bytes.
  [[nodiscard]] std::byte* mine() const { return mine_.data(); }

  /// Offers numbers that this rank owns and has written in its copy.
  void offer(Range numbers) const;
  /// Takes numbers that another rank has offered. A barrier must lie between offer() and take(), and another
  /// one between take() and the next offer() of these numbers.
  void take(Range numbers) const;
  /// Every rank of the topology gets the copy of its rank 0. Collective over the topology.
  void spread() const;

  /// Bytes of shared memory that the node needs for the weights.
  static std::size_t shared_bytes(const Seat& seat, std::size_t numbers, std::size_t number_bytes);

 private:
  [[nodiscard]] bool is_shared() const { return topology_->node().size() > 1; }

  const Topology* topology_;
  std::size_t number_bytes_;
  AlignedArray<std::byte> mine_;
  SharedArray<std::byte> offered_;  ///< It is empty when the node has one rank.
};

}  // namespace fcmnist::comm
