#include "comm/ring_allreduce.hpp"

#include <fmt/format.h>
#include <sched.h>

#include "comm/mpi_handle.hpp"
#include "comm/stall_clock.hpp"
#include "core/error.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

RingAllreduce::RingAllreduce(const Communicator& group, std::size_t max_count, double stall_timeout_s)
    : group_(&group),
      incoming_(max_count / static_cast<std::size_t>(group.size()) + 1),
      stall_timeout_s_(stall_timeout_s) {}

void RingAllreduce::sum(std::span<float> numbers) {
  const int size = group_->size();
  const auto chunk = [&](int index) {
    const Range part = share_of(numbers.size(), static_cast<std::size_t>(size),
                                static_cast<std::size_t>((index % size + size) % size));
    return numbers.subspan(part.begin, part.size());
  };
  for (int step = 0; step < size - 1; ++step) {
    const std::span<float> mine = chunk(group_->rank() - step - 1);
    const auto from_left = std::span(incoming_.data(), mine.size());
    exchange(chunk(group_->rank() - step), from_left);
    for (std::size_t i = 0; i < mine.size(); ++i) mine[i] += from_left[i];
  }
  for (int step = 0; step < size - 1; ++step) {
    exchange(chunk(group_->rank() + 1 - step), chunk(group_->rank() - step));
  }
}

/// Sends to the right neighbour and receives from the left one.
void RingAllreduce::exchange(std::span<const float> out, std::span<float> in) {
  const int size = group_->size();
  const int right = (group_->rank() + 1) % size, left = (group_->rank() + size - 1) % size;
  constexpr int tag = 1;
  MPI_Request requests[2];
  const MPI_Comm comm = group_->handle().comm;
  FCMNIST_MPI(MPI_Irecv(in.data(), static_cast<int>(in.size()), MPI_FLOAT, left, tag, comm, &requests[0]));
  FCMNIST_MPI(MPI_Isend(out.data(), static_cast<int>(out.size()), MPI_FLOAT, right, tag, comm, &requests[1]));
  StallClock stall(stall_timeout_s_);
  for (int done = 0; done == 0;) {
    FCMNIST_MPI(MPI_Testall(2, requests, &done, MPI_STATUSES_IGNORE));
    if (done == 0) sched_yield();  // free on a core of one's own, and needed where ranks share one
    if (done == 0 && stall.expired()) {
      throw CommError(fmt::format("no message from the leader of node {} or to that of node {} for {:.0f} s "
                                  "(runconfig.stall_timeout)",
                                  left, right, stall_timeout_s_),
                      "a node has died, is stopped, or its network is down");
    }
  }
}

}  // namespace fcmnist::comm
