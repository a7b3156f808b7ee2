#include "comm/matrix_channel.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "comm/mpi_handle.hpp"
#include "core/arena.hpp"
#include "core/error.hpp"

namespace fcmnist::comm {

namespace {

constexpr std::size_t message_numbers = message_bytes / sizeof(float);

/// Room for one matrix, and the messages that carry it.
struct MatrixMessages {
  explicit MatrixMessages(std::size_t max_numbers)
      : numbers(max_numbers),
        requests(std::max<std::size_t>((max_numbers + message_numbers - 1) / message_numbers, 1),
                 MPI_REQUEST_NULL) {}

  [[nodiscard]] bool done() {
    int all = 0;
    FCMNIST_MPI(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &all, MPI_STATUSES_IGNORE));
    return all != 0;
  }

  /// begin(first number, count, request) for each message, when the matrix has `count` numbers.
  template <class Begin>
  void begin_each(std::size_t count, Begin begin) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const std::size_t first = std::min(i * message_numbers, count);
      begin(numbers.data() + first, static_cast<int>(std::min(message_numbers, count - first)), &requests[i]);
    }
  }

  AlignedArray<float> numbers;
  std::vector<MPI_Request> requests;
};

}  // namespace

struct MatrixSender::Slot : MatrixMessages {
  using MatrixMessages::MatrixMessages;
};
struct MatrixReceiver::Slot : MatrixMessages {
  using MatrixMessages::MatrixMessages;
};

MatrixSender::MatrixSender(const Communicator& group, int to, int tag, std::size_t max_numbers,
                           std::size_t depth, PolledWait patience)
    : group_(&group), to_(to), tag_(tag), patience_(patience) {
  for (std::size_t i = 0; i < depth; ++i) slots_.emplace_back(max_numbers);
}

MatrixSender::~MatrixSender() = default;
MatrixSender::MatrixSender(MatrixSender&&) noexcept = default;

void MatrixSender::send(MatrixView<const float> matrix) {
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % slots_.size();
  const std::size_t count = matrix.rows * matrix.cols;
  FCMNIST_CHECK(count <= slot.numbers.size(),
                fmt::format("{} x {}, at most {} numbers", matrix.rows, matrix.cols, slot.numbers.size()));
  wait_for(slot);
  float* out = slot.numbers.data();
  for (std::size_t r = 0; r < matrix.rows; ++r) out = std::ranges::copy(matrix.row(r), out).out;
  slot.begin_each(count, [&](const float* numbers, int n, MPI_Request* request) {
    FCMNIST_MPI(MPI_Isend(numbers, n, MPI_FLOAT, to_, tag_, group_->handle().comm, request));
  });
}

void MatrixSender::progress() {
  for (Slot& slot : slots_) static_cast<void>(slot.done());
}

void MatrixSender::flush() {
  for (Slot& slot : slots_) wait_for(slot);
}

void MatrixSender::wait_for(Slot& slot) {
  patience_.until([&] { return slot.done(); });
}

MatrixReceiver::MatrixReceiver(const Communicator& group, int from, int tag, std::size_t max_numbers,
                               std::size_t depth, PolledWait patience)
    : group_(&group), from_(from), tag_(tag), patience_(patience) {
  for (std::size_t i = 0; i < depth; ++i) slots_.emplace_back(max_numbers);
}

MatrixReceiver::~MatrixReceiver() = default;
MatrixReceiver::MatrixReceiver(MatrixReceiver&&) noexcept = default;

void MatrixReceiver::expect(std::size_t count) {
  FCMNIST_CHECK(not_posted_ == 0 && next_to_post_ == next_to_receive_, "a matrix was not received");
  not_posted_ = count;
  for (std::size_t i = std::min(count, slots_.size()); i-- > 0;) post();
}

void MatrixReceiver::post() {
  Slot& slot = slots_[next_to_post_];
  next_to_post_ = (next_to_post_ + 1) % slots_.size();
  --not_posted_;
  slot.begin_each(slot.numbers.size(), [&](float* numbers, int n, MPI_Request* request) {
    FCMNIST_MPI(MPI_Irecv(numbers, n, MPI_FLOAT, from_, tag_, group_->handle().comm, request));
  });
}

void MatrixReceiver::receive(MatrixView<float> out) {
  Slot& slot = slots_[next_to_receive_];
  next_to_receive_ = (next_to_receive_ + 1) % slots_.size();
  FCMNIST_CHECK(out.rows * out.cols <= slot.numbers.size(), fmt::format("{} x {}", out.rows, out.cols));
  patience_.until([&] { return slot.done(); });
  const float* in = slot.numbers.data();
  for (std::size_t r = 0; r < out.rows; ++r) std::copy_n(in + r * out.cols, out.cols, out.row(r).data());
  if (not_posted_ > 0) post();
}

}  // namespace fcmnist::comm
