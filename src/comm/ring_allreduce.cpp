#include "comm/ring_allreduce.hpp"

#include "comm/mpi_handle.hpp"
#include "core/error.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

struct RingAllreduce::Requests {
  MPI_Request both[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
};

RingAllreduce::RingAllreduce(const Communicator& group, std::size_t max_count)
    : group_(&group),
      incoming_(max_count / static_cast<std::size_t>(group.size()) + 1),
      requests_(std::make_unique<Requests>()) {}

RingAllreduce::~RingAllreduce() = default;
RingAllreduce::RingAllreduce(RingAllreduce&&) noexcept = default;

std::span<float> RingAllreduce::chunk(int index) const {
  const int size = group_->size();
  const Range part = share_of(numbers_.size(), static_cast<std::size_t>(size),
                              static_cast<std::size_t>((index % size + size) % size));
  return numbers_.subspan(part.begin, part.size());
}

void RingAllreduce::start(std::span<float> numbers) {
  FCMNIST_CHECK(step_ == steps_, "a sum is still under way");
  numbers_ = numbers;
  step_ = 0;
  steps_ = 2 * (group_->size() - 1);
  if (steps_ > 0) send_and_receive();
}

/// In the first half of the steps a chunk arrives to be added, in the second half to be taken as it is.
bool RingAllreduce::progress() {
  while (step_ < steps_) {
    int done = 0;
    FCMNIST_MPI(MPI_Testall(2, requests_->both, &done, MPI_STATUSES_IGNORE));
    if (done == 0) return false;
    if (step_ < group_->size() - 1) {
      const std::span<float> mine = chunk(group_->rank() - step_ - 1);
      for (std::size_t i = 0; i < mine.size(); ++i) mine[i] += incoming_.data()[i];
    }
    if (++step_ < steps_) send_and_receive();
  }
  return true;
}

/// Posts the messages of one step: to the right neighbour, from the left one.
void RingAllreduce::send_and_receive() {
  const int size = group_->size();
  const int right = (group_->rank() + 1) % size, left = (group_->rank() + size - 1) % size;
  const bool adds = step_ < size - 1;
  const int place = adds ? step_ : step_ - (size - 1);
  const std::span<float> out = chunk(group_->rank() + (adds ? 0 : 1) - place);
  const std::span<float> target = chunk(group_->rank() - (adds ? 1 : 0) - place);
  float* in = adds ? incoming_.data() : target.data();
  constexpr int tag = 1;
  const MPI_Comm comm = group_->handle().comm;
  FCMNIST_MPI(
      MPI_Irecv(in, static_cast<int>(target.size()), MPI_FLOAT, left, tag, comm, &requests_->both[0]));
  FCMNIST_MPI(
      MPI_Isend(out.data(), static_cast<int>(out.size()), MPI_FLOAT, right, tag, comm, &requests_->both[1]));
}

}  // namespace fcmnist::comm
