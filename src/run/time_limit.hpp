#pragma once

#include <optional>
#include <string_view>

#include "config/run_config.hpp"
#include "core/log.hpp"

namespace fcmnist::run {

/// The moment at which a process must have ended: runconfig.max_time. For rank 0.
class TimeLimit {
 public:
  /// `started_s`: when the program started, by comm::now_s(). "auto" asks Slurm for the end of the job, and
  /// outside of a job, or when Slurm does not say, logs that there is no limit.
  TimeLimit(const config::MaxTime& max_time, double started_s, Logger& log);

  /// Seconds that are left; infinity without a limit.
  [[nodiscard]] double left_s() const;
  /// Time to be left when the files are durable: for the end of MPI and of the job script.
  [[nodiscard]] double margin_s() const { return margin_s_; }

 private:
  double end_s_;
  double margin_s_ = 1.0;
};

/// Seconds in a duration as Slurm writes it: "MM:SS", "HH:MM:SS", "D-HH:MM:SS". Nothing for other texts, such
/// as UNLIMITED.
std::optional<double> parse_slurm_duration(std::string_view text);

}  // namespace fcmnist::run
