#pragma once

namespace fcmnist::run {

/// The signals that ask a run to stop and to be resumed later: USR1 and USR2 (batch systems, job scripts), TERM, INT
/// and HUP (a terminal that is closed; not under nohup). A run looks at arrived() at its step boundaries. Repeats
/// within 2 s count as one, since launchers and batch systems both forward them; a later one ends the process at
/// once, as if nobody handled signals, in case the orderly end hangs. In case the step hangs, the first one begins
/// the HangWatch. One object per process.
///
/// They are caught by a handler, and not blocked and waited for: a library may have threads of its own, which would
/// still take them. What a handler can reach is global; it is hidden in this class.
class StopSignals {
 public:
  /// From here on USR1 and USR2 are caught: they mean "soon". TERM, INT and HUP still end the process, which has
  /// nothing to save before its first step and may be waiting for a download.
  StopSignals();
  ~StopSignals() = default;  // caught to the end: a late one must not spoil the exit code
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// From here on all of them are caught.
  void catch_all();
  /// For a process that has nothing to save: signals do what they do by default, also one that has arrived.
  void let_through();
  /// The signal that arrived first, 0 if none has.
  [[nodiscard]] int arrived() const;
  /// Whether it was TERM, INT or HUP: the launcher may end the process soon, and no longer reads its output.
  [[nodiscard]] bool must_hurry() const;
};

/// The name of a signal: "SIGUSR1".
const char* signal_name(int signal);

}  // namespace fcmnist::run
