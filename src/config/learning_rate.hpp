#pragma once

#include <string>
#include <vector>

#include "config/value.hpp"
#include "optim/options.hpp"

namespace fcmnist::config {

/// optimizer.learning_rate: a number, a schedule (a mapping), or a list of schedules that run one after the
/// other.
///
///   scheduler              Constant, Linear, Polynomial, CosineDecay (any case, also with LR at the end)
///   initial_learning_rate  also learning_rate, val
///   end_learning_rate      for all but Constant; default 0
///   power                  for Polynomial only; default 1
///   steps                  also total_iters, decay_steps; the last (or only) schedule may leave it out: it
///                          then lasts until the end of training
///
/// Throws UsageError for anything else. Fields that a kind does not have keep their defaults, so that equal
/// schedules compare equal.
std::vector<optim::SchedulePiece> read_learning_rate(const Value& value, const std::string& key);

/// Text that read_learning_rate reads back: a number for one endless Constant, otherwise a list in YAML flow
/// style.
std::string write_learning_rate(const std::vector<optim::SchedulePiece>& pieces);

}  // namespace fcmnist::config
