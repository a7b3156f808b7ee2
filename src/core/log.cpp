#include "core/log.hpp"

#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "core/error.hpp"

namespace fcmnist {

std::shared_ptr<Logger> make_logger(std::string_view level, bool silent) {
  std::string name(level);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  spdlog::level::level_enum threshold{};
  if (name == "debug") {
    threshold = spdlog::level::debug;
  } else if (name == "info") {
    threshold = spdlog::level::info;
  } else if (name == "warning" || name == "warn") {
    threshold = spdlog::level::warn;
  } else if (name == "error") {
    threshold = spdlog::level::err;
  } else {
    throw UsageError("--logging " + std::string(level) + ": unknown level",
                     "use one of debug, info, warning, error");
  }
  spdlog::sink_ptr sink;
  if (silent) {
    sink = std::make_shared<spdlog::sinks::null_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
  }
  auto logger = std::make_shared<Logger>("fcmnist_mpi", std::move(sink));
  logger->set_pattern("%Y-%m-%d %H:%M:%S %l: %v");
  logger->set_level(threshold);
  logger->flush_on(spdlog::level::debug);
  return logger;
}

}  // namespace fcmnist
