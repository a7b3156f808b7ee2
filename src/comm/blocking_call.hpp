#pragma once

#include <thread>

namespace fcmnist::comm {

class StallWatch;

/// Watches one call of MPI that waits for other ranks and cannot be polled. Such calls divide a communicator,
/// make or free a window, or finalize MPI. All ranks come to such a call from a barrier. If one rank were
/// stopped within the call, the other ranks would wait for ever. Therefore a second thread watches the clock.
/// After the stall timeout it ends this process, and so the world, with an error that names the stopped rank.
/// The thread can only name ranks of this host, because it reads from Linux whether their processes run. A
/// host whose ranks all run first lets the other hosts print their error.
///
///   {
///     const BlockingCall watched(watch);
///     FCMNIST_MPI(MPI_Comm_split(...));
///   }
class BlockingCall {
 public:
  explicit BlockingCall(const StallWatch& watch);

 private:
  std::jthread clock_watcher_;  ///< It ends with the scope, and makes no call of MPI.
};

}  // namespace fcmnist::comm
