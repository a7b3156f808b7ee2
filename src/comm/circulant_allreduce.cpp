#include "comm/circulant_allreduce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
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
struct CirculantAllreduce<Number>::Messages {
  std::vector<MPI_Request> requests;  ///< one for each message of this round
};

namespace {

/// How many chunks a rank cares for before each round of the reduce-scatter, and after the last: P, ceil(P/2), ... 1.
std::vector<int> halvings(int ranks) {
  std::vector<int> sizes = {ranks};
  while (sizes.back() > 1) sizes.push_back((sizes.back() + 1) / 2);
  return sizes;
}

/// Chunks from `begin` to `end`, each modulo `ranks`: one range of the array, or two where they go over its end; else the
/// second is empty.
std::array<Range, 2> ranges_of(std::size_t count, int ranks, int begin, int end) {
  const auto parts = static_cast<std::size_t>(ranks);
  const auto range = [&](int from, int to) {
    const std::size_t last = share_of(count, parts, static_cast<std::size_t>(to - 1)).end;
    return Range{share_of(count, parts, static_cast<std::size_t>(from)).begin, last};
  };
  if (begin == end) return {};
  const int first = begin % ranks, beyond = first + (end - begin);
  if (beyond <= ranks) return {range(first, beyond), Range{}};
  return {range(first, ranks), range(0, beyond - ranks)};
}

std::size_t numbers_in(const std::array<Range, 2>& ranges) { return ranges[0].size() + ranges[1].size(); }

template <std::floating_point Number>
void add_to(std::span<Number> sum, const Number* numbers) {
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

int allreduce_rounds(int ranks) { return 2 * (static_cast<int>(halvings(ranks).size()) - 1); }

/// What a round of the reduce-scatter sends, and what the round of the all-gather that goes back sends.
std::size_t allreduce_bytes_sent(std::size_t count, int ranks, int rank, std::size_t wire_bytes) {
  const std::vector<int> left = halvings(ranks);
  std::size_t numbers = 0;
  for (std::size_t i = 0; i + 1 < left.size(); ++i) {
    numbers += numbers_in(ranges_of(count, ranks, rank + left[i + 1], rank + left[i]));
    numbers += numbers_in(ranges_of(count, ranks, rank, rank + left[i] - left[i + 1]));
  }
  return numbers * wire_bytes;
}

std::size_t allreduce_buffer_numbers(std::size_t max_count, int ranks) {
  const std::size_t chunk = max_count / static_cast<std::size_t>(ranks) + 1;
  return chunk * static_cast<std::size_t>(ranks / 2);
}

template <class Number>
CirculantAllreduce<Number>::CirculantAllreduce(const Communicator& group, std::size_t max_count, int tag,
                                               WireType wire)
    : group_(&group),
      tag_(tag),
      max_count_(max_count),
      cared_for_(halvings(group.size())),
      messages_(std::make_unique<Messages>()) {
  const std::size_t most = allreduce_buffer_numbers(max_count, group.size());
  if (wire == WireType::bfloat16) {
    FCMNIST_CHECK((std::is_same_v<Number, float>), "only float is sent rounded");
    half_out_ = AlignedArray<BFloat16>(most);
    half_in_ = AlignedArray<BFloat16>(most);
  } else {
    incoming_ = AlignedArray<Number>(most);
  }
  messages_->requests.reserve(2 * (most * sizeof(Number) / message_bytes + 2));
}

template <class Number>
CirculantAllreduce<Number>::~CirculantAllreduce() = default;
template <class Number>
CirculantAllreduce<Number>::CirculantAllreduce(CirculantAllreduce&&) noexcept = default;

template <class Number>
std::array<std::span<Number>, 2> CirculantAllreduce<Number>::pieces(Chunks chunks) const {
  const int rank = group_->rank();
  const auto [first, second] =
      ranges_of(numbers_.size(), group_->size(), rank + chunks.begin, rank + chunks.end);
  return {numbers_.subspan(first.begin, first.size()), numbers_.subspan(second.begin, second.size())};
}

/// Of the s chunks that are left a rank keeps the first k = ceil(s/2). Chunk r + j of rank r, with k <= j < s, is chunk
/// r' + (j - k) of the rank r' = r + k that gets it, which is one of those that r' keeps, since s - k <= k. So all ranks
/// send and add alike, and after the round each has its own sum of k chunks. The all-gather takes the same way back: a
/// rank sends what it received there, to where it came from.
template <class Number>
auto CirculantAllreduce<Number>::round(int number) const -> Round {
  const int halves = rounds_ / 2, size = group_->size(), rank = group_->rank();
  const bool adds = number < halves;
  const auto i = static_cast<std::size_t>(adds ? number : rounds_ - 1 - number);
  const int left = cared_for_[i], kept = cared_for_[i + 1];
  const int above = (rank + kept) % size, below = (rank + size - kept) % size;
  const Chunks kept_and_added{0, left - kept}, given_away{kept, left};
  if (adds) return {above, below, given_away, kept_and_added, true};
  return {below, above, kept_and_added, given_away, false};
}

template <class Number>
void CirculantAllreduce<Number>::start(std::span<Number> numbers) {
  FCMNIST_CHECK(round_ == rounds_, "a sum is still under way");
  FCMNIST_CHECK(numbers.size() <= max_count_, fmt::format("{}, at most {}", numbers.size(), max_count_));
  numbers_ = numbers;
  round_ = 0;
  rounds_ = 2 * (static_cast<int>(cared_for_.size()) - 1);
  if (rounds_ == 0) return;
  if constexpr (std::is_same_v<Number, float>) {
    if (half_in_.size() > 0) round_in_place(numbers_);
  }
  post_messages();
}

template <class Number>
bool CirculantAllreduce<Number>::progress() {
  std::vector<MPI_Request>& requests = messages_->requests;
  while (round_ < rounds_) {
    int done = 0;
    FCMNIST_MPI(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
    if (done == 0) return false;
    use_incoming();
    if (++round_ < rounds_) post_messages();
  }
  return true;
}

/// Adds the numbers that have arrived in this round. In the all-gather what arrives is complete. It is then already in place,
/// unless it travelled as bfloat16.
template <class Number>
void CirculantAllreduce<Number>::use_incoming() {
  const Round now = round(round_);
  std::size_t at = 0;
  for (const std::span<Number> mine : pieces(now.in)) {
    if constexpr (std::is_same_v<Number, float>) {
      if (half_in_.size() > 0) widen_into(mine, half_in_.data() + at, now.adds);
    }
    if (half_in_.size() == 0 && now.adds) add_to(mine, incoming_.data() + at);
    at += mine.size();
  }
  if constexpr (std::is_same_v<Number, float>) {
    const bool is_complete = round_ == rounds_ / 2 - 1;
    if (half_in_.size() == 0 || !is_complete) return;
    for (const std::span<Number> mine : pieces({0, 1})) round_in_place(mine);
  }
}

/// Posts the messages of one round. Both sides cut the same pieces into the same messages.
template <class Number>
void CirculantAllreduce<Number>::post_messages() {
  const Round now = round(round_);
  const MPI_Comm comm = group_->handle().comm;
  std::vector<MPI_Request>& requests = messages_->requests;
  requests.clear();
  const auto begin_each = [](std::size_t bytes, const auto& begin) {
    for (std::size_t i = 0; i < bytes; i += message_bytes) {
      begin(i, static_cast<int>(std::min(message_bytes, bytes - i)));
    }
  };
  const auto receive = [&](auto* to, std::size_t count) {
    auto* const bytes = reinterpret_cast<std::byte*>(to);
    begin_each(count * sizeof *to, [&](std::size_t i, int length) {
      FCMNIST_MPI(MPI_Irecv(bytes + i, length, MPI_BYTE, now.from, tag_, comm, &requests.emplace_back()));
    });
  };
  const auto send = [&](const auto* from, std::size_t count) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(from);
    begin_each(count * sizeof *from, [&](std::size_t i, int length) {
      FCMNIST_MPI(MPI_Isend(bytes + i, length, MPI_BYTE, now.to, tag_, comm, &requests.emplace_back()));
    });
  };
  const bool is_rounded = half_in_.size() > 0;
  std::size_t at = 0;
  for (const std::span<Number> piece : pieces(now.in)) {
    if (is_rounded) {
      receive(half_in_.data() + at, piece.size());
    } else {
      receive(now.adds ? incoming_.data() + at : piece.data(), piece.size());
    }
    at += piece.size();
  }
  at = 0;
  for (const std::span<Number> piece : pieces(now.out)) {
    if constexpr (std::is_same_v<Number, float>) {
      if (is_rounded) convert(std::span<const float>(piece), std::span(half_out_.data() + at, piece.size()));
    }
    if (is_rounded) {
      send(half_out_.data() + at, piece.size());
    } else {
      send(piece.data(), piece.size());
    }
    at += piece.size();
  }
}

template class CirculantAllreduce<float>;
template class CirculantAllreduce<double>;
template class CirculantAllreduce<std::int64_t>;

}  // namespace fcmnist::comm
