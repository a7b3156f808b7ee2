#include "core/log.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "core/error.hpp"

namespace fcmnist {

void Logger::print(Level level, fmt::string_view text, fmt::format_args args) {
  if (level >= least_) sink_(level, fmt::vformat(text, args));
}

namespace {

Logger::Level level_named(std::string_view given) {
  std::string name(given);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "debug") return Logger::Level::debug;
  if (name == "info") return Logger::Level::info;
  if (name == "warning" || name == "warn") return Logger::Level::warning;
  if (name == "error") return Logger::Level::error;
  throw UsageError(fmt::format("--logging {}: unknown level", given),
                   "use one of debug, info, warning, error");
}

spdlog::level::level_enum of_library(Logger::Level level) {
  switch (level) {
    case Logger::Level::debug:
      return spdlog::level::debug;
    case Logger::Level::info:
      return spdlog::level::info;
    case Logger::Level::warning:
      return spdlog::level::warn;
    case Logger::Level::error:
      return spdlog::level::err;
    case Logger::Level::off:
      break;
  }
  return spdlog::level::off;
}

Logger::Sink to(std::shared_ptr<spdlog::sinks::sink> sink) {
  auto printer = std::make_shared<spdlog::logger>("fcmnist_mpi", std::move(sink));
  printer->set_pattern("%Y-%m-%d %H:%M:%S %l: %v");
  printer->set_level(spdlog::level::debug);
  printer->flush_on(spdlog::level::debug);
  return [printer](Logger::Level level, std::string_view text) {
    printer->log(of_library(level), spdlog::string_view_t(text.data(), text.size()));
  };
}

}  // namespace

std::shared_ptr<Logger> make_logger(std::string_view level, bool silent) {
  const Logger::Level least = level_named(level);
  if (silent) return std::make_shared<Logger>(Logger::Level::off, [](Logger::Level, std::string_view) {});
  return std::make_shared<Logger>(least, to(std::make_shared<spdlog::sinks::stdout_sink_mt>()));
}

std::shared_ptr<Logger> make_file_logger(std::string_view level, const std::filesystem::path& path) {
  const Logger::Level least = level_named(level);
  try {
    return std::make_shared<Logger>(least,
                                    to(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string())));
  } catch (const spdlog::spdlog_ex& error) {
    throw StoreError(error.what());
  }
}

}  // namespace fcmnist
