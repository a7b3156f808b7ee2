#pragma once

#include <optional>
#include <string>

#include "core/hang_watch.hpp"
#include "run/stop_signals.hpp"
#include "run/time_limit.hpp"

namespace fcmnist::run {

/// Whether a run must stop before its last step. It must when a signal has arrived, or when one more turn of its
/// loop, and all that a stop takes, would end after runconfig.max_time. A turn is a step and what follows it.
class StopDecision {
 public:
  /// `signals` must outlive it. Time is without a limit until one is set, on rank 0.
  explicit StopDecision(const StopSignals& signals) : signals_(&signals) {}
  void set_time_limit(const TimeLimit& limit) { limit_ = limit; }

  /// Tells how long a turn took without its evaluation, and how long an evaluation took. The longest of each
  /// counts. The longest turn fades, so that a job that was suspended goes on.
  void add_turn(double seconds);
  void add_evaluation(double seconds);

  /// How long a step or an evaluation may take when a signal has arrived, until a library is taken to hang. Others
  /// may keep it waiting for the stall timeout. After TERM or INT the process is soon killed, so a few times the
  /// longest so far must do; a batch system gives about 30 s.
  [[nodiscard]] Patience patience_with_step(double stall_timeout_s) const;
  [[nodiscard]] Patience patience_with_evaluation(double stall_timeout_s) const;

  [[nodiscard]] bool signal_arrived() const { return signals_->arrived() != 0; }
  ///   evaluates_next   whether one of the next two turns has an evaluation: who goes on now can stop only
  ///                    after the second
  ///   seconds_to_save  what a checkpoint takes until it is durable
  [[nodiscard]] bool time_is_up(bool evaluates_next, double seconds_to_save);
  /// Of a stop that the ranks have agreed on, as this rank sees it: "SIGUSR1 arrived".
  [[nodiscard]] std::string reason() const;

 private:
  const StopSignals* signals_;
  std::optional<TimeLimit> limit_;
  bool time_was_up_ = false;  ///< when it was asked last
  double longest_turn_s_ = 0.0;
  double longest_evaluation_s_ = 0.0;
};

}  // namespace fcmnist::run
