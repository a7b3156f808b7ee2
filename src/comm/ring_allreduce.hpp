#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "comm/communicator.hpp"
#include "comm/options.hpp"
#include "core/arena.hpp"
#include "core/half.hpp"

namespace fcmnist::comm {

/// Messages that each rank sends one after the other in a sum over `ranks` ranks.
constexpr int ring_steps(int ranks) { return 2 * (ranks - 1); }

/// Bytes of one number on the wire.
///   number_bytes  its bytes in memory
constexpr std::size_t wire_number_bytes(WireType wire, std::size_t number_bytes) {
  return wire == WireType::bfloat16 ? sizeof(BFloat16) : number_bytes;
}

/// Bytes that `rank` sends in a sum of `count` numbers over `ranks` ranks.
///   wire_bytes  of one number
std::size_t ring_bytes_sent(std::size_t count, int ranks, int rank, std::size_t wire_bytes);

/// Sum of arrays over the ranks of a group, by messages between neighbours in a ring: reduce-scatter,
/// then all-gather. It runs behind other work: start() posts the first messages, progress() does what can be
/// done without waiting.
///
/// The array is cut into P chunks. In P-1 steps each rank passes a chunk on and adds the one it gets to its
/// own, after which every chunk is complete on one rank; in P-1 more steps the complete chunks go round. Each
/// rank sends and receives 2 (P-1)/P N numbers, the least possible, and a chunk is added up in one place
/// only, so all ranks get the same bits. A chunk goes as several messages of 60 kB: over TCP a longer one
/// would wait for the receiver to answer, which happens only when both sides look. Source: Patarasuk, Yuan,
/// "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69 (2009),
/// doi 10.1016/j.jpdc.2008.09.002.
///
/// On a wire of bfloat16 half the bytes travel. Every rank adds rounded numbers, its own included, in fp32; a
/// sum is rounded when it is passed on, P-1 times in all, and once more when it is complete, so that all
/// ranks have the same bits: error at most P 2^-8 times the sum of the magnitudes.
///   Number  float, or std::int64_t, which knows no other wire
template <class Number>
class RingAllreduce {
 public:
  /// `group` must outlive it. `max_count`: numbers of the longest array. Rings that are busy at the same time
  /// need different tags.
  RingAllreduce(const Communicator& group, std::size_t max_count, int tag, WireType wire = WireType::float32);
  ~RingAllreduce();
  RingAllreduce(RingAllreduce&&) noexcept;

  /// Begins to replace `numbers` by their sum over the group. Every rank of the group starts the same sums in
  /// the same order, one at a time. `numbers` belongs to the ring until progress() has returned true.
  void start(std::span<Number> numbers);
  /// True when no sum is under way. Never waits.
  bool progress();

 private:
  struct Requests;
  [[nodiscard]] std::span<Number> chunk(int index) const;
  void send_and_receive();
  void take_over(bool adds);

  const Communicator* group_;
  int tag_;
  std::size_t max_count_;
  std::size_t longest_chunk_;
  AlignedArray<Number> incoming_;              ///< empty if halves travel
  AlignedArray<BFloat16> half_out_, half_in_;  ///< else these are
  std::unique_ptr<Requests> requests_;
  std::span<Number> numbers_;
  int step_ = 0;
  int steps_ = 0;  ///< of the sum under way, 0 when there is none
};

}  // namespace fcmnist::comm
