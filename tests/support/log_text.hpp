#pragma once

#include <fmt/format.h>

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.hpp"

namespace fcmnist::test {

/// "warning: text", as logs have it.
inline std::string log_line(Logger::Level level, std::string_view text) {
  constexpr const char* names[] = {"debug", "info", "warning", "error"};
  return fmt::format("{}: {}\n", names[static_cast<int>(level)], text);
}

/// A logger whose lines are kept, each as "level: text".
class LogText {
 public:
  LogText() = default;
  LogText(const LogText&) = delete;
  LogText& operator=(const LogText&) = delete;
  [[nodiscard]] Logger& log() { return log_; }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  [[nodiscard]] std::string text() const { return fmt::format("{}", fmt::join(lines(), "")); }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  Logger log_{Logger::Level::info, [this](Logger::Level level, std::string_view text) {
                const std::lock_guard lock(mutex_);
                lines_.push_back(log_line(level, text));
              }};
};

}  // namespace fcmnist::test
