#include "store/lock_holder.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include "core/host_name.hpp"

namespace fcmnist::store {

namespace {

constexpr std::string_view title = "fcmnist_mpi lock\n";

/// A number that is new at each start of a machine. With it, a host name means one machine since one start.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  return file >> id ? id : "unknown";
}

/// When a process started, in clock ticks since boot; nothing if there is no such process. A process that has
/// ended but that its parent has not waited for counts as gone.
std::optional<long long> start_of_process(long long pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // The name, field 2, is in parentheses and may hold spaces and parentheses.
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string state, skipped;
  fields >> state;
  for (int field = 4; field <= 21; ++field) fields >> skipped;
  long long start = 0;
  if (!(fields >> start) || state == "Z" || state == "X") return std::nullopt;
  return start;
}

}  // namespace

bool LockHolder::is_of_this_machine() const { return host == host_name() && boot == boot_id(); }

bool LockHolder::is_running() const { return start_of_process(pid) == pid_start; }

std::optional<LockHolder> parse_lock_text(const std::string& text) {
  if (!text.starts_with(title)) return std::nullopt;
  LockHolder holder;
  std::istringstream lines(text.substr(title.size()));
  std::string key, value;
  while (lines >> key >> value) {
    if (key == "host") holder.host = value;
    if (key == "boot") holder.boot = value;
    if (key == "pid") holder.pid = std::strtoll(value.c_str(), nullptr, 10);
    if (key == "pid_start") holder.pid_start = std::strtoll(value.c_str(), nullptr, 10);
    if (key == "slurm_job") holder.slurm_job = value;
    if (key == "started") holder.started = value;
    if (key == "beat") holder.has_heartbeat = true;
  }
  if (holder.host.empty() || holder.pid <= 0) return std::nullopt;
  return holder;
}

std::string describe(const std::optional<LockHolder>& holder) {
  if (!holder) return "another process";
  return fmt::format("process {} on host {}{}, since {}", holder->pid, holder->host,
                     holder->slurm_job.empty() ? "" : fmt::format(" (Slurm job {})", holder->slurm_job),
                     holder->started);
}

std::string lock_text_of_this_process() {
  const auto pid = ::getpid();
  std::string text(title);
  text += fmt::format("host {}\nboot {}\npid {}\npid_start {}\n", host_name(), boot_id(), pid,
                      start_of_process(pid).value_or(0));
  if (const char* job = std::getenv("SLURM_JOB_ID")) text += fmt::format("slurm_job {}\n", job);
  return text + fmt::format("started {:%Y-%m-%dT%H:%M:%SZ}\n", fmt::gmtime(std::time(nullptr)));
}

std::string heartbeat_line(unsigned long heartbeats) { return fmt::format("beat {:010}\n", heartbeats); }

}  // namespace fcmnist::store
