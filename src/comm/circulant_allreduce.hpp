#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/options.hpp"
#include "core/arena.hpp"
#include "core/half.hpp"

namespace fcmnist::comm {

/// The rounds of a sum over `ranks` ranks, 2 ceil(log2 ranks). In each every rank sends to one rank, and receives from one.
int allreduce_rounds(int ranks);

/// Bytes of one number on the wire.
///   number_bytes  bytes of the number in memory
constexpr std::size_t wire_number_bytes(WireType wire, std::size_t number_bytes) {
  return wire == WireType::bfloat16 ? sizeof(BFloat16) : number_bytes;
}

/// Bytes that `rank` sends in a sum of `count` numbers over `ranks` ranks.
///   wire_bytes  bytes of one number on the wire
std::size_t allreduce_bytes_sent(std::size_t count, int ranks, int rank, std::size_t wire_bytes);

/// Numbers that a sum of at most `max_count` numbers has room for besides them: what arrives in one round.
std::size_t allreduce_buffer_numbers(std::size_t max_count, int ranks);

/// The sum of arrays over the ranks of a group, in a number of rounds that grows with log P: a reduce-scatter, then an
/// all-gather, on a circulant graph. It runs while the rank does other work: start() posts the first messages, and
/// progress() does what can be done without waiting.
///
/// An array of N numbers is cut into P chunks, one for each of the P ranks. Rank r has s chunks to care for, r, r + 1, ...
/// r + s - 1 (modulo P), at first all of them. In each round of the reduce-scatter it sends the second half of them to the
/// rank half as far away, and adds to the first half what comes from as far on the other side; with an odd s the first half
/// is the larger one. After ceil(log2 P) rounds only chunk r is left, and complete. The all-gather goes the same way back
/// with complete chunks. Any P will do. Each rank sends and receives 2 (P-1)/P N numbers, which is the least possible, and
/// the rounds are as few as possible; a ring with the same bytes takes 2 (P-1) of them. A chunk is added up along one tree
/// only, so all ranks get the same bits. Chunks go as messages of 60 kB. Over TCP a longer message would wait until the
/// receiver answers, and it answers only when both ranks are in a call of MPI.
///
/// Source: Traff, "Optimal, non-pipelined reduce-scatter and allreduce algorithms", arXiv 2410.14234; the pattern is that of
/// Bruck, Ho, Kipnis, Upfal, Weathersby, IEEE TPDS 8 (1997).
///
/// On a wire of bfloat16 half the bytes travel. Every rank first rounds its own numbers, and adds in fp32. A sum is rounded
/// when it is sent, and once more when it is complete, so that all ranks have the same bits. The error is at most
/// (ceil(log2 P) + 1) 2^-8 times the sum of the magnitudes, to first order.
///   Number  float, or double or std::int64_t, which always travel as they are
template <class Number>
class CirculantAllreduce {
 public:
  /// `group` must outlive the object.
  ///   max_count  how many numbers the longest array has
  ///   tag        sums that are under way at the same time need different tags
  CirculantAllreduce(const Communicator& group, std::size_t max_count, int tag,
                     WireType wire = WireType::float32);
  ~CirculantAllreduce();
  CirculantAllreduce(CirculantAllreduce&&) noexcept;

  /// Begins to replace `numbers` by their sum over the group. Every rank of the group must start the same sums in the same
  /// order, one at a time. `numbers` belongs to the sum until progress() has returned true.
  void start(std::span<Number> numbers);
  /// Does what can be done without waiting. Returns true when no sum is under way.
  bool progress();

 private:
  struct Messages;
  /// Chunks from rank + begin to rank + end, modulo P.
  struct Chunks {
    int begin = 0, end = 0;
  };
  struct Round {
    int to = 0, from = 0;  ///< ranks
    Chunks out, in;
    bool adds = false;
  };
  [[nodiscard]] Round round(int number) const;
  /// One piece of the array, or two where they go over its end; else the second is empty.
  [[nodiscard]] std::array<std::span<Number>, 2> pieces(Chunks chunks) const;
  void post_messages();
  void use_incoming();

  const Communicator* group_;
  int tag_;
  std::size_t max_count_;
  std::vector<int>
      cared_for_;  ///< chunks that are left before each round of the reduce-scatter, and after the last
  AlignedArray<Number> incoming_;              ///< It is empty on a wire of bfloat16.
  AlignedArray<BFloat16> half_out_, half_in_;  ///< They are empty on any other wire.
  std::unique_ptr<Messages> messages_;
  std::span<Number> numbers_;
  int round_ = 0;   ///< of the sum under way; equal to rounds_ when there is none
  int rounds_ = 0;  ///< how many this sum has
};

}  // namespace fcmnist::comm
