#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string_view>

namespace fcmnist {

/// Prints lines of text to standard output. Functions that log get it as an argument; there is no global
/// logger.
using Logger = spdlog::logger;

/// A logger that prints "date time level: text" and flushes every line, so that a batch log is never behind.
/// A silent one, as all ranks but rank 0 have, prints nothing. `level` is debug, info, warning or error;
/// anything else is a UsageError.
std::shared_ptr<Logger> make_logger(std::string_view level, bool silent);

}  // namespace fcmnist
