#include "comm/matrix_channel.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "comm/mpi_handle.hpp"
#include "core/arena.hpp"
#include "core/error.hpp"

namespace fcmnist::comm {

namespace {

/// Memory for one matrix, and the messages that carry it.
struct MatrixMessages {
  explicit MatrixMessages(std::size_t max_bytes)
      : bytes(max_bytes),
        requests(std::max<std::size_t>((max_bytes + message_bytes - 1) / message_bytes, 1),
                 MPI_REQUEST_NULL) {}

  [[nodiscard]] bool done() {
    int all = 0;
    FCMNIST_MPI(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &all, MPI_STATUSES_IGNORE));
    return all != 0;
  }

  /// Calls begin(first byte, number of bytes, request) for each message of a matrix of `count` bytes.
  /// Messages behind the end of the matrix are empty.
  template <class Begin>
  void begin_each(std::size_t count, Begin begin) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const std::size_t first = std::min(i * message_bytes, count);
      begin(bytes.data() + first, static_cast<int>(std::min(message_bytes, count - first)), &requests[i]);
    }
  }

  AlignedArray<std::byte> bytes;
  std::vector<MPI_Request> requests;
};

}  // namespace

struct MatrixSender::Slot : MatrixMessages {
  using MatrixMessages::MatrixMessages;
};
struct MatrixReceiver::Slot : MatrixMessages {
  using MatrixMessages::MatrixMessages;
};

MatrixSender::MatrixSender(const Communicator& group, int to, int tag, std::size_t max_bytes,
                           std::size_t depth, PolledWait patience)
    : group_(&group), to_(to), tag_(tag), patience_(patience) {
  for (std::size_t i = 0; i < depth; ++i) slots_.emplace_back(max_bytes);
}

MatrixSender::~MatrixSender() = default;
MatrixSender::MatrixSender(MatrixSender&&) noexcept = default;

void MatrixSender::send(MatrixView<const std::byte> matrix) {
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % slots_.size();
  const std::size_t count = matrix.rows * matrix.cols;
  FCMNIST_CHECK(count <= slot.bytes.size(),
                fmt::format("{} x {}, at most {} bytes", matrix.rows, matrix.cols, slot.bytes.size()));
  wait_for(slot);
  std::byte* out = slot.bytes.data();
  for (std::size_t r = 0; r < matrix.rows; ++r) out = std::ranges::copy(matrix.row(r), out).out;
  slot.begin_each(count, [&](const std::byte* bytes, int n, MPI_Request* request) {
    FCMNIST_MPI(MPI_Isend(bytes, n, MPI_BYTE, to_, tag_, group_->handle().comm, request));
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

MatrixReceiver::MatrixReceiver(const Communicator& group, int from, int tag, std::size_t max_bytes,
                               std::size_t depth, PolledWait patience)
    : group_(&group), from_(from), tag_(tag), patience_(patience) {
  for (std::size_t i = 0; i < depth; ++i) slots_.emplace_back(max_bytes);
}

MatrixReceiver::~MatrixReceiver() = default;
MatrixReceiver::MatrixReceiver(MatrixReceiver&&) noexcept = default;

void MatrixReceiver::expect(std::size_t count) {
  FCMNIST_CHECK(not_posted_ == 0 && next_to_post_ == next_to_receive_, "a matrix was not received");
  not_posted_ = count;
  for (std::size_t i = std::min(count, slots_.size()); i-- > 0;) post_next_slot();
}

void MatrixReceiver::post_next_slot() {
  Slot& slot = slots_[next_to_post_];
  next_to_post_ = (next_to_post_ + 1) % slots_.size();
  --not_posted_;
  slot.begin_each(slot.bytes.size(), [&](std::byte* bytes, int n, MPI_Request* request) {
    FCMNIST_MPI(MPI_Irecv(bytes, n, MPI_BYTE, from_, tag_, group_->handle().comm, request));
  });
}

void MatrixReceiver::receive(MatrixView<std::byte> out) {
  Slot& slot = slots_[next_to_receive_];
  next_to_receive_ = (next_to_receive_ + 1) % slots_.size();
  FCMNIST_CHECK(out.rows * out.cols <= slot.bytes.size(), fmt::format("{} x {}", out.rows, out.cols));
  patience_.until([&] { return slot.done(); });
  const std::byte* in = slot.bytes.data();
  for (std::size_t r = 0; r < out.rows; ++r) std::copy_n(in + r * out.cols, out.cols, out.row(r).data());
  if (not_posted_ > 0) post_next_slot();
}

}  // namespace fcmnist::comm
