#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/polled_wait.hpp"
#include "core/matrix_view.hpp"

namespace fcmnist::comm {

/// One rank's end of a one-way channel of matrices (of bytes: bytes_of()) to another rank, both of which give
/// the same `max_bytes` and `tag`. Matrices arrive in the order in which they are sent; both ends have memory
/// for some of them, so that neither waits for the other while there is room.
///
/// A matrix goes as several messages of 60 kB, as many for each, the last ones short or empty: over TCP a
/// longer message would wait for the receiver to answer, which happens only when both look.
class MatrixSender {
 public:
  /// `group` must outlive it. `depth`: matrices that may be on their way at the same time.
  MatrixSender(const Communicator& group, int to, int tag, std::size_t max_bytes, std::size_t depth,
               PolledWait patience);
  ~MatrixSender();
  MatrixSender(MatrixSender&&) noexcept;

  /// The matrix may change as soon as it returns. Waits only while `depth` of them are on their way.
  void send(MatrixView<const std::byte> matrix);
  /// Lets MPI move what is on its way. Never waits.
  void progress();
  /// Waits until nothing is on its way.
  void flush();

 private:
  struct Slot;
  void wait_for(Slot& slot);

  const Communicator* group_;
  int to_;
  int tag_;
  PolledWait patience_;
  std::vector<Slot> slots_;
  std::size_t next_ = 0;
};

class MatrixReceiver {
 public:
  /// As MatrixSender.
  MatrixReceiver(const Communicator& group, int from, int tag, std::size_t max_bytes, std::size_t depth,
                 PolledWait patience);
  ~MatrixReceiver();
  MatrixReceiver(MatrixReceiver&&) noexcept;

  /// So many matrices will come; all of them must be received before the next call. Never waits.
  void expect(std::size_t count);
  /// Waits for the next one; `out` has the rows and columns of what was sent.
  void receive(MatrixView<std::byte> out);

 private:
  struct Slot;
  void post();

  const Communicator* group_;
  int from_;
  int tag_;
  PolledWait patience_;
  std::vector<Slot> slots_;
  std::size_t not_posted_ = 0;
  std::size_t next_to_post_ = 0, next_to_receive_ = 0;  ///< indices of slots
};

}  // namespace fcmnist::comm
