#include "comm/ring_allreduce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "comm/mpi_handle.hpp"
#include "core/convert.hpp"
#include "core/error.hpp"
#include "core/fixed_point.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

template <class Number>
struct RingAllreduce<Number>::Messages {
  std::vector<MPI_Request> requests;  ///< one for each message of this step
};

namespace {

/// The numbers of a chunk. Index `ranks` is again chunk 0, and index -1 is the last chunk.
Range chunk_of(std::size_t count, int ranks, int index) {
  return share_of(count, static_cast<std::size_t>(ranks),
                  static_cast<std::size_t>((index % ranks + ranks) % ranks));
}

void add_to(std::span<float> sum, const float* numbers) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += numbers[i];
}

/// A sum that is out of range may wrap around: its numbers are not used (core/fixed_point.hpp).
void add_to(std::span<std::int64_t> sum, const std::int64_t* numbers) {
  const std::int64_t* const terms[] = {sum.data(), numbers};
  ordered_sum(terms, sum);
}

void round_in_place(std::span<float> numbers) {
#pragma omp simd
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<float>(BFloat16(numbers[i]));
  }
}

/// Adds the rounded numbers to the others if `add` is true, and else replaces the others by them.
void widen_into(std::span<float> numbers, const BFloat16* rounded, bool add) {
#pragma omp simd
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto wide = static_cast<float>(rounded[i]);
    // A copy is not an addition to 0, because 0 + -0 is not -0.
    numbers[i] = add ? numbers[i] + wide : wide;
  }
}

}  // namespace

/// In each half of the steps a rank sends all chunks but one. In the first half it keeps chunk rank + 1,
/// which it completes itself. In the second half it keeps chunk rank + 2, which its right neighbour has
/// completed.
std::size_t ring_bytes_sent(std::size_t count, int ranks, int rank, std::size_t wire_bytes) {
  const std::size_t kept = chunk_of(count, ranks, rank + 1).size() + chunk_of(count, ranks, rank + 2).size();
  return (2 * count - kept) * wire_bytes;
}

template <class Number>
RingAllreduce<Number>::RingAllreduce(const Communicator& group, std::size_t max_count, int tag, WireType wire)
    : group_(&group),
      tag_(tag),
      max_count_(max_count),
      longest_chunk_(max_count / static_cast<std::size_t>(group.size()) + 1),
      messages_(std::make_unique<Messages>()) {
  if (wire == WireType::bfloat16) {
    FCMNIST_CHECK((std::is_same_v<Number, float>), "integers are sent as they are");
    half_out_ = AlignedArray<BFloat16>(longest_chunk_);
    half_in_ = AlignedArray<BFloat16>(longest_chunk_);
  } else {
    incoming_ = AlignedArray<Number>(longest_chunk_);
  }
  messages_->requests.reserve(2 * (longest_chunk_ * sizeof(Number) / message_bytes + 1));
}

template <class Number>
RingAllreduce<Number>::~RingAllreduce() = default;
template <class Number>
RingAllreduce<Number>::RingAllreduce(RingAllreduce&&) noexcept = default;

template <class Number>
std::span<Number> RingAllreduce<Number>::chunk(int index) const {
  const Range part = chunk_of(numbers_.size(), group_->size(), index);
  return numbers_.subspan(part.begin, part.size());
}

template <class Number>
void RingAllreduce<Number>::start(std::span<Number> numbers) {
  FCMNIST_CHECK(step_ == steps_, "a sum is still under way");
  FCMNIST_CHECK(numbers.size() <= max_count_, fmt::format("{}, at most {}", numbers.size(), max_count_));
  numbers_ = numbers;
  step_ = 0;
  steps_ = ring_steps(group_->size());
  if (steps_ == 0) return;
  if constexpr (std::is_same_v<Number, float>) {
    if (half_in_.size() > 0) round_in_place(numbers_);
  }
  post_messages();
}

template <class Number>
bool RingAllreduce<Number>::progress() {
  std::vector<MPI_Request>& requests = messages_->requests;
  while (step_ < steps_) {
    int done = 0;
    FCMNIST_MPI(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
    if (done == 0) return false;
    use_incoming_chunk();
    if (++step_ < steps_) post_messages();
  }
  return true;
}

/// The chunk that this rank sends in this step.
///
/// Chunk c starts on rank c, and each step takes it one rank to the right. So rank c + s sends chunk c at step
/// s, and rank r sends chunk r - s, both modulo P. When s = P-1, at the end of the first half, chunk c is
/// complete on rank c + P-1. It then moves on in the same way, so r - s also holds in the second half.
template <class Number>
std::span<Number> RingAllreduce<Number>::outgoing_chunk() const {
  return chunk(group_->rank() - step_);
}

/// The chunk that this rank receives in this step: the one that its left neighbour, rank r - 1, sends.
template <class Number>
std::span<Number> RingAllreduce<Number>::incoming_chunk() const {
  return chunk(group_->rank() - 1 - step_);
}

/// Adds the numbers that have arrived in this step. In the second half of the steps the chunk that arrives is
/// complete. It is then already in place, unless it travelled as bfloat16.
template <class Number>
void RingAllreduce<Number>::use_incoming_chunk() {
  const bool adds = adds_in_this_step();
  const std::span<Number> mine = incoming_chunk();
  if constexpr (std::is_same_v<Number, float>) {
    if (half_in_.size() > 0) {
      widen_into(mine, half_in_.data(), adds);
      const bool is_complete = step_ == group_->size() - 2;
      if (is_complete) round_in_place(mine);
      return;
    }
  }
  if (adds) add_to(mine, incoming_.data());
}

/// Posts the messages of one step: a chunk to the right neighbour, and a chunk from the left one.
template <class Number>
void RingAllreduce<Number>::post_messages() {
  const int size = group_->size();
  const int right = (group_->rank() + 1) % size, left = (group_->rank() + size - 1) % size;
  const std::span<Number> out = outgoing_chunk(), target = incoming_chunk();
  const MPI_Comm comm = group_->handle().comm;
  std::vector<MPI_Request>& requests = messages_->requests;
  requests.clear();
  const auto begin_each = [](std::size_t bytes, const auto& begin) {
    for (std::size_t i = 0; i < bytes; i += message_bytes) {
      begin(i, static_cast<int>(std::min(message_bytes, bytes - i)));
    }
  };
  const auto pass_on = [&](const auto* from, auto* in) {
    const auto* const from_bytes = reinterpret_cast<const std::byte*>(from);
    auto* const in_bytes = reinterpret_cast<std::byte*>(in);
    begin_each(target.size() * sizeof *in, [&](std::size_t i, int bytes) {
      FCMNIST_MPI(MPI_Irecv(in_bytes + i, bytes, MPI_BYTE, left, tag_, comm, &requests.emplace_back()));
    });
    begin_each(out.size() * sizeof *from, [&](std::size_t i, int bytes) {
      FCMNIST_MPI(MPI_Isend(from_bytes + i, bytes, MPI_BYTE, right, tag_, comm, &requests.emplace_back()));
    });
  };
  if constexpr (std::is_same_v<Number, float>) {
    if (half_in_.size() > 0) {
      convert(std::span<const float>(out), std::span(half_out_.data(), out.size()));
      return pass_on(half_out_.data(), half_in_.data());
    }
  }
  pass_on(out.data(), adds_in_this_step() ? incoming_.data() : target.data());
}

template class RingAllreduce<float>;
template class RingAllreduce<std::int64_t>;

}  // namespace fcmnist::comm
