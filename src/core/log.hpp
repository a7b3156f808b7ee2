#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string_view>

namespace fcmnist {

/// Plain text lines on standard output. Passed to whoever has something to say; there is no global logger.
using Logger = spdlog::logger;

/// A logger that prints "date time level: text" and flushes every line, so that a batch log is never behind.
/// A silent one (every rank but 0) drops everything. `level`: debug, info, warning, error; throws UsageError
/// otherwise.
std::shared_ptr<Logger> make_logger(std::string_view level, bool silent);

}  // namespace fcmnist
