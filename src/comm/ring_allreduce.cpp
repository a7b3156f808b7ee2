#include "comm/ring_allreduce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "comm/mpi_handle.hpp"
#include "core/error.hpp"
#include "core/fixed_point.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

template <class Number>
struct RingAllreduce<Number>::Requests {
  std::vector<MPI_Request> of_step;
};

namespace {

template <class Number>
constexpr std::size_t message_numbers = message_bytes / sizeof(Number);

void add_to(std::span<float> sum, const float* numbers) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += numbers[i];
}

/// May wrap around when the numbers mean nothing any more (core/fixed_point.hpp).
void add_to(std::span<std::int64_t> sum, const std::int64_t* numbers) {
  const std::int64_t* const terms[] = {sum.data(), numbers};
  ordered_sum(terms, sum);
}

}  // namespace

template <class Number>
RingAllreduce<Number>::RingAllreduce(const Communicator& group, std::size_t max_count, int tag)
    : group_(&group),
      tag_(tag),
      max_count_(max_count),
      incoming_(max_count / static_cast<std::size_t>(group.size()) + 1),
      requests_(std::make_unique<Requests>()) {
  requests_->of_step.reserve(2 * (incoming_.size() / message_numbers<Number> + 1));
}

template <class Number>
RingAllreduce<Number>::~RingAllreduce() = default;
template <class Number>
RingAllreduce<Number>::RingAllreduce(RingAllreduce&&) noexcept = default;

template <class Number>
std::span<Number> RingAllreduce<Number>::chunk(int index) const {
  const int size = group_->size();
  const Range part = share_of(numbers_.size(), static_cast<std::size_t>(size),
                              static_cast<std::size_t>((index % size + size) % size));
  return numbers_.subspan(part.begin, part.size());
}

template <class Number>
void RingAllreduce<Number>::start(std::span<Number> numbers) {
  FCMNIST_CHECK(step_ == steps_, "a sum is still under way");
  FCMNIST_CHECK(numbers.size() <= max_count_, fmt::format("{}, at most {}", numbers.size(), max_count_));
  numbers_ = numbers;
  step_ = 0;
  steps_ = 2 * (group_->size() - 1);
  if (steps_ > 0) send_and_receive();
}

/// In the first half of the steps a chunk arrives to be added, in the second half to be taken as it is.
template <class Number>
bool RingAllreduce<Number>::progress() {
  while (step_ < steps_) {
    int done = 0;
    FCMNIST_MPI(MPI_Testall(static_cast<int>(requests_->of_step.size()), requests_->of_step.data(), &done,
                            MPI_STATUSES_IGNORE));
    if (done == 0) return false;
    if (step_ < group_->size() - 1) {
      const std::span<Number> mine = chunk(group_->rank() - step_ - 1);
      add_to(mine, incoming_.data());
    }
    if (++step_ < steps_) send_and_receive();
  }
  return true;
}

/// Posts the messages of one step: to the right neighbour, from the left one.
template <class Number>
void RingAllreduce<Number>::send_and_receive() {
  const int size = group_->size();
  const int right = (group_->rank() + 1) % size, left = (group_->rank() + size - 1) % size;
  const bool adds = step_ < size - 1;
  const int place = adds ? step_ : step_ - (size - 1);
  const std::span<Number> out = chunk(group_->rank() + (adds ? 0 : 1) - place);
  const std::span<Number> target = chunk(group_->rank() - (adds ? 1 : 0) - place);
  Number* in = adds ? incoming_.data() : target.data();
  const MPI_Comm comm = group_->handle().comm;
  std::vector<MPI_Request>& requests = requests_->of_step;
  requests.clear();
  const auto begin_each = [](std::size_t count, const auto& begin) {
    for (std::size_t i = 0; i < count; i += message_numbers<Number>) {
      begin(i, static_cast<int>(std::min(message_numbers<Number>, count - i)));
    }
  };
  begin_each(target.size(), [&](std::size_t i, int count) {
    FCMNIST_MPI(MPI_Irecv(in + i, count, mpi_type<Number>(), left, tag_, comm, &requests.emplace_back()));
  });
  begin_each(out.size(), [&](std::size_t i, int count) {
    FCMNIST_MPI(
        MPI_Isend(out.data() + i, count, mpi_type<Number>(), right, tag_, comm, &requests.emplace_back()));
  });
}

template class RingAllreduce<float>;
template class RingAllreduce<std::int64_t>;

}  // namespace fcmnist::comm
