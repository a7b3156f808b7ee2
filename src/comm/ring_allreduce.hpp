#pragma once

#include <cstddef>
#include <span>

#include "comm/communicator.hpp"
#include "core/arena.hpp"

namespace fcmnist::comm {

/// Sum of float arrays over the ranks of a group, by messages between neighbours in a ring: reduce-scatter,
/// then all-gather.
///
/// The array is cut into P chunks. In P-1 steps each rank passes a chunk on and adds the one it gets to its
/// own, after which every chunk is complete on one rank; in P-1 more steps the complete chunks go round. Each
/// rank sends and receives 2 (P-1)/P N numbers in 2 (P-1) messages, the least bytes possible, and a chunk is
/// added up in one place only, so all ranks get the same bits. Every wait polls MPI and has a deadline.
/// Source: Patarasuk, Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69
/// (2009), doi 10.1016/j.jpdc.2008.09.002.
class RingAllreduce {
 public:
  /// `group` must outlive it. `max_count`: numbers of the longest array.
  RingAllreduce(const Communicator& group, std::size_t max_count, double stall_timeout_s);

  /// Collective over the group. Replaces `numbers` by their sum over all ranks. Throws CommError when a
  /// neighbour is silent for longer than the stall timeout.
  void sum(std::span<float> numbers);

 private:
  void exchange(std::span<const float> out, std::span<float> in);

  const Communicator* group_;
  AlignedArray<float> incoming_;
  double stall_timeout_s_;
};

}  // namespace fcmnist::comm
