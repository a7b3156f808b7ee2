#pragma once

#include <thread>

namespace fcmnist::comm {

class StallWatch;

/// Watches one call of MPI that waits for other ranks and has no form that could be polled: to divide a
/// communicator, to make and free a window, MPI_Finalize. All ranks come to such a call from a barrier;
/// should one be stopped in the midst of it, the others would wait for ever. A second thread watches the
/// clock, and after the stall timeout ends this process, and so the world, with an error that names the rank.
/// Only ranks of this host can be named, by the state that Linux shows of their processes; a host whose ranks
/// all run leaves it to the others to speak first.
///
///   {
///     const BlockingCall watched(watch);
///     FCMNIST_MPI(MPI_Comm_split(...));
///   }
class BlockingCall {
 public:
  explicit BlockingCall(const StallWatch& watch);

 private:
  std::jthread clock_;  ///< ends with the scope; does not touch MPI
};

}  // namespace fcmnist::comm
