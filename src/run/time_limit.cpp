#include "run/time_limit.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <memory>
#include <string>

#include "comm/clock.hpp"
#include "config/duration.hpp"
#include "core/text.hpp"

namespace fcmnist::run {

namespace {

constexpr double no_limit = std::numeric_limits<double>::infinity();

/// The first line that a command prints; empty if there is none.
std::string first_line_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::array<char, 256> line{};
  if (!pipe || std::fgets(line.data(), static_cast<int>(line.size()), pipe.get()) == nullptr) return {};
  std::string text(line.data());
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// What is left of the Slurm job, if there is one and it has an end.
std::optional<double> job_time_left_s(Logger& log) {
  const char* job = std::getenv("SLURM_JOB_ID");
  if (job == nullptr || !is_number(job)) {
    log.info("runconfig.max_time auto: not in a Slurm job, so there is no limit");
    return std::nullopt;
  }
  const char* end = std::getenv("SLURM_JOB_END_TIME");  // Slurm 23.02 and later
  if (end != nullptr && is_number(end)) return std::difftime(std::atoll(end), std::time(nullptr));
  const std::string text =
      first_line_of("timeout 10 squeue --noheader --jobs " + std::string(job) + " --format %L 2>&1");
  const auto left_s = parse_slurm_duration(text);
  if (!left_s) {
    log.info("runconfig.max_time auto: squeue says \"{}\" for job {}, so there is no limit", text, job);
  }
  return left_s;
}

}  // namespace

TimeLimit::TimeLimit(const config::MaxTime& max_time, double started_s, Logger& log) : end_s_(no_limit) {
  if (max_time.seconds > 0) end_s_ = started_s + static_cast<double>(max_time.seconds);
  if (!max_time.is_job_end) return;
  margin_s_ = 15.0;  // Slurm's clock has coarse ticks, and its scripts want to end too
  const auto left_s = job_time_left_s(log);
  if (!left_s) return;
  end_s_ = comm::now_s() + *left_s;
  log.info("runconfig.max_time auto: the job has {} left", format_duration(*left_s));
}

double TimeLimit::left_s() const { return end_s_ - comm::now_s(); }

std::optional<double> parse_slurm_duration(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return std::nullopt;  // squeue never writes minutes alone
  const std::optional<long> seconds = config::seconds_of_slurm_time(text);
  return seconds ? std::optional(static_cast<double>(*seconds)) : std::nullopt;
}

}  // namespace fcmnist::run
