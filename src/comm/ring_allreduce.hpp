#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "comm/communicator.hpp"
#include "comm/options.hpp"
#include "core/arena.hpp"
#include "core/half.hpp"

namespace fcmnist::comm {

/// The steps of a sum over `ranks` ranks. In each step every rank sends one chunk.
constexpr int ring_steps(int ranks) { return 2 * (ranks - 1); }

/// Bytes of one number on the wire.
///   number_bytes  bytes of the number in memory
constexpr std::size_t wire_number_bytes(WireType wire, std::size_t number_bytes) {
  return wire == WireType::bfloat16 ? sizeof(BFloat16) : number_bytes;
}

/// Bytes that `rank` sends in a sum of `count` numbers over `ranks` ranks.
///   wire_bytes  bytes of one number on the wire
std::size_t ring_bytes_sent(std::size_t count, int ranks, int rank, std::size_t wire_bytes);

/// The sum of arrays over the ranks of a group, by messages between neighbours in a ring. It is a
/// reduce-scatter, then an all-gather. It runs while the rank does other work: start() posts the first
/// messages, and progress() does what can be done without waiting.
///
/// An array of N numbers is cut into P chunks, one for each of the P ranks. In each of the first P-1 steps a
/// rank sends a chunk to its right neighbour, and adds the chunk that comes from the left to its own. Then
/// every chunk is complete on one rank. In P-1 more steps the complete chunks go round the ring. Each rank
/// sends and receives 2 (P-1)/P N numbers, which is the least possible. A chunk is added up along one path
/// only, so all ranks get the same bits. A chunk goes as several messages of 60 kB. Over TCP a longer message
/// would wait until the receiver answers, and it answers only when both ranks are in a call of MPI.
///
/// Source: Patarasuk, Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69
/// (2009), doi 10.1016/j.jpdc.2008.09.002.
///
/// On a wire of bfloat16 half the bytes travel. Every rank first rounds its own numbers, and adds in fp32. A
/// sum is rounded each time it is sent, P-1 times in all, and once more when it is complete, so that all
/// ranks have the same bits. The error is at most P 2^-8 times the sum of the magnitudes.
///   Number  float, or std::int64_t, which always travels as it is
template <class Number>
class RingAllreduce {
 public:
  /// `group` must outlive the ring.
  ///   max_count  how many numbers the longest array has
  ///   tag        rings that are busy at the same time need different tags
  RingAllreduce(const Communicator& group, std::size_t max_count, int tag, WireType wire = WireType::float32);
  ~RingAllreduce();
  RingAllreduce(RingAllreduce&&) noexcept;

  /// Begins to replace `numbers` by their sum over the group. Every rank of the group must start the same
  /// sums in the same order, one at a time. `numbers` belongs to the ring until progress() has returned true.
  void start(std::span<Number> numbers);
  /// Does what can be done without waiting. Returns true when no sum is under way.
  bool progress();

 private:
  struct Messages;
  [[nodiscard]] std::span<Number> chunk(int index) const;
  [[nodiscard]] bool adds_in_this_step() const { return step_ < group_->size() - 1; }
  [[nodiscard]] std::span<Number> outgoing_chunk() const;
  [[nodiscard]] std::span<Number> incoming_chunk() const;
  void post_messages();
  void use_incoming_chunk();

  const Communicator* group_;
  int tag_;
  std::size_t max_count_;
  std::size_t longest_chunk_;
  AlignedArray<Number> incoming_;              ///< It is empty on a wire of bfloat16.
  AlignedArray<BFloat16> half_out_, half_in_;  ///< They are empty on any other wire.
  std::unique_ptr<Messages> messages_;
  std::span<Number> numbers_;
  int step_ = 0;   ///< the step of the sum under way; equal to steps_ when there is none
  int steps_ = 0;  ///< how many steps this sum has
};

}  // namespace fcmnist::comm
