#pragma once

#include <atomic>
#include <thread>

namespace fcmnist::train {

/// The signals that ask a run to stop and to be resumed later: USR1 and USR2 (batch systems, job scripts),
/// TERM and INT. A run looks at arrived() at its step boundaries. Repeats within 2 s count as one, since
/// launchers and batch systems both forward them; a later one ends the process at once, as if nobody handled
/// signals, in case the orderly end hangs.
class StopSignals {
 public:
  /// Blocks the signals for this thread and all that it starts; those that arrive wait. So make it before MPI
  /// and BLAS start threads.
  StopSignals();
  /// The rest of the process still waits with the signals: it is about to end.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// For a process that has nothing to save: signals do what they do by default, also those that waited.
  void let_through();
  /// From here on a thread of its own waits for signals, also for those that arrived before.
  void watch();
  /// The signal that arrived first, 0 if none has. Cheap.
  [[nodiscard]] int arrived() const { return first_.load(std::memory_order_relaxed); }

 private:
  void wait_for_signals(const std::stop_token& stop);

  std::atomic<int> first_ = 0;
  std::jthread watcher_;
};

/// "SIGUSR1"
const char* signal_name(int signal);

}  // namespace fcmnist::train
