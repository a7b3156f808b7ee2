#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/polled_wait.hpp"
#include "core/matrix_view.hpp"

namespace fcmnist::comm {

/// The sending end of a one-way channel of matrices from one rank to another. The matrices are of bytes, see
/// bytes_of(). Both ranks must give the same `max_bytes` and `tag`. Matrices arrive in the order in which
/// they are sent. Both ends have memory for some matrices, so that neither waits for the other while there is
/// room.
///
/// Every matrix goes as the same number of messages of at most 60 kB. The last messages may be short or
/// empty. Over TCP a longer message would wait until the receiver answers, and it answers only when both
/// ranks are in a call of MPI.
class MatrixSender {
 public:
  /// `group` must outlive the sender.
  ///   max_bytes  bytes of the largest matrix
  ///   depth      how many matrices may be on their way at the same time
  MatrixSender(const Communicator& group, int to, int tag, std::size_t max_bytes, std::size_t depth,
               PolledWait patience);
  ~MatrixSender();
  MatrixSender(MatrixSender&&) noexcept;

  /// Sends a matrix, which may change as soon as the call returns. Waits only while `depth` matrices are on
  /// their way.
  void send(MatrixView<const std::byte> matrix);
  /// Lets MPI move the matrices that are on their way. Never waits.
  void progress();
  /// Waits until all matrices have left.
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

/// The receiving end of such a channel.
class MatrixReceiver {
 public:
  /// The arguments are those of MatrixSender.
  MatrixReceiver(const Communicator& group, int from, int tag, std::size_t max_bytes, std::size_t depth,
                 PolledWait patience);
  ~MatrixReceiver();
  MatrixReceiver(MatrixReceiver&&) noexcept;

  /// Announces that `count` matrices will come. All of them must be received before the next call of
  /// expect(). Never waits.
  void expect(std::size_t count);
  /// Waits for the next matrix. `out` must have the rows and columns of the matrix that was sent.
  void receive(MatrixView<std::byte> out);

 private:
  struct Slot;
  void post_next_slot();

  const Communicator* group_;
  int from_;
  int tag_;
  PolledWait patience_;
  std::vector<Slot> slots_;
  std::size_t not_posted_ = 0;       ///< how many of the expected matrices have no slot yet
  std::size_t next_to_post_ = 0;     ///< the index of the slot that is posted next
  std::size_t next_to_receive_ = 0;  ///< the index of the slot that receives the next matrix
};

}  // namespace fcmnist::comm
