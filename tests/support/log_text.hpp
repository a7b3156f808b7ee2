#pragma once

#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>
#include <string>

#include "core/log.hpp"

namespace fcmnist::test {

/// A logger whose lines are kept, each as "level: text".
class LogText {
 public:
  LogText() { log_.set_pattern("%l: %v"); }
  [[nodiscard]] Logger& log() { return log_; }
  [[nodiscard]] std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  Logger log_{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)};
};

}  // namespace fcmnist::test
