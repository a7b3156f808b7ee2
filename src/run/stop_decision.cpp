#include "run/stop_decision.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fcmnist::run {

void StopDecision::add_turn(double seconds) { longest_turn_s_ = std::max(seconds, 0.98 * longest_turn_s_); }

void StopDecision::add_evaluation(double seconds) {
  longest_evaluation_s_ = std::max(longest_evaluation_s_, seconds);
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
