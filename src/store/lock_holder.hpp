#pragma once

#include <optional>
#include <string>

/// The text in a LOCK, as FORMAT.md has it. Internal to ModelDirLock.
namespace fcmnist::store {

/// The run that a text names.
struct LockHolder {
  std::string host, boot, started, slurm_job;
  long long pid = 0, pid_start = 0;
  bool has_heartbeat = false;

  /// Whether it ran on this machine and since its last start: then this machine knows whether it lives.
  [[nodiscard]] bool is_of_this_machine() const;
  /// Whether its process is there. Means something only if is_of_this_machine().
  [[nodiscard]] bool is_running() const;
};

/// Nothing if the text is not of this program.
std::optional<LockHolder> parse_lock_text(const std::string& text);

/// "process 1234 on host node01 (Slurm job 77), since 2026-01-31T12:00:00Z", or "another process".
std::string describe(const std::optional<LockHolder>& holder);

/// The text that names this process, without the line of its heartbeat.
std::string lock_text_of_this_process();
/// The line that a heartbeat changes. All are equally long: a reader sees the text before a heartbeat or
/// after it, never half of one.
std::string heartbeat_line(unsigned long heartbeats);

}  // namespace fcmnist::store
