#pragma once

#include <fmt/core.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

namespace fcmnist {

/// Takes lines of text. Functions that log get it as an argument; there is no global logger. Any thread may log.
///
/// The library that prints is not visible here: its templates would take seconds to compile wherever a line is
/// logged.
class Logger {
 public:
  enum class Level { debug, info, warning, error, off };
  /// Prints a line. Any thread may call it.
  using Sink = std::function<void(Level level, std::string_view text)>;

  /// Lines below `least` are not printed.
  Logger(Level least, Sink sink) : least_(least), sink_(std::move(sink)) {}

  template <class... Args>
  void debug(fmt::format_string<Args...> text, Args&&... args) {
    print(Level::debug, text, fmt::make_format_args(args...));
  }
  template <class... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) {
    print(Level::info, text, fmt::make_format_args(args...));
  }
  template <class... Args>
  void warn(fmt::format_string<Args...> text, Args&&... args) {
    print(Level::warning, text, fmt::make_format_args(args...));
  }
  template <class... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) {
    print(Level::error, text, fmt::make_format_args(args...));
  }

  [[nodiscard]] Level level() const { return least_; }
  void set_level(Level least) { least_ = least; }

 private:
  void print(Level level, fmt::string_view text, fmt::format_args args);

  std::atomic<Level> least_;
  Sink sink_;
};

/// A logger that prints "date time level: text" to standard output and flushes every line, so that a batch log is never
/// behind. A silent one, as all ranks but rank 0 have, prints nothing. `level` is debug, info, warning or error; anything
/// else is a UsageError.
std::shared_ptr<Logger> make_logger(std::string_view level, bool silent);

/// The same, appended to a file. Throws StoreError if it cannot be opened.
std::shared_ptr<Logger> make_file_logger(std::string_view level, const std::filesystem::path& path);

}  // namespace fcmnist
