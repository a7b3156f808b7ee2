#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/value.hpp"
#include "optim/options.hpp"

namespace fcmnist::config {

/// One key of a kind of schedule.
struct ScheduleField {
  const char* word;
  std::function<void(const Value&, const std::string& key, optim::SchedulePiece&)> read;
  std::function<std::string(const optim::SchedulePiece&)> write;  ///< null: another name of the key before it
  bool required = false;
};

/// A kind of schedule: its names, of which the first is written, and its keys, each followed by its other names.
struct ScheduleKindRow {
  optim::ScheduleKind kind;
  std::vector<std::string> names;  ///< without "LR"
  std::vector<ScheduleField> fields;
};

/// All kinds. A new one is a row here, a kind in optim/options.hpp and its formula in optim/schedule.cpp.
const std::vector<ScheduleKindRow>& schedule_kinds();

}  // namespace fcmnist::config
