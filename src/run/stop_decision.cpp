#include "run/stop_decision.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fcmnist::run {

namespace {

Patience patience_with(double longest_s, double stall_timeout_s) {
  const double many_times_s = 10.0 * longest_s;
  const double patience_s = std::max(stall_timeout_s, many_times_s);
  if (longest_s == 0.0) return {patience_s, patience_s};
  return {patience_s, std::min(patience_s, std::max(20.0, many_times_s))};
}

}  // namespace

void StopDecision::add_turn(double seconds) { longest_turn_s_ = std::max(seconds, 0.98 * longest_turn_s_); }

void StopDecision::add_evaluation(double seconds) {
  longest_evaluation_s_ = std::max(longest_evaluation_s_, seconds);
}

Patience StopDecision::patience_with_step(double stall_timeout_s) const {
  return patience_with(longest_turn_s_, stall_timeout_s);
}

Patience StopDecision::patience_with_evaluation(double stall_timeout_s) const {
  return patience_with(longest_evaluation_s_, stall_timeout_s);
}

// Twice the time to save: it is a guess, and the metrics follow the checkpoint.
bool StopDecision::time_is_up(bool evaluates_next, double seconds_to_save) {
  time_was_up_ = limit_ && limit_->left_s() < longest_turn_s_ +
                                                  (evaluates_next ? longest_evaluation_s_ : 0.0) +
                                                  2.0 * seconds_to_save + limit_->margin_s();
  return time_was_up_;
}

std::string StopDecision::reason() const {
  if (signal_arrived()) return fmt::format("{} arrived", signal_name(signals_->arrived()));
  if (time_was_up_) return "runconfig.max_time is over";
  return "another rank received a signal";
}

}  // namespace fcmnist::run
