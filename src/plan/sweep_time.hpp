#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fcmnist::plan {

/// What is left to do of one trial of a sweep.
struct TrialWork {
  double step_s = 0.0;
  std::int64_t from_step = 0, to_step = 0;  ///< it makes the steps after the one and up to the other
};

/// Seconds until the groups of ranks have trained all trials, without evaluations and files. Each group first trains
/// every n-th trial, then from the end what nobody has begun, as run::SweepGroup does.
///   trials  those that have not ended
///   all     how many trials the sweep has
///   groups  that train side by side
///   rungs   steps, in increasing order, where one in `reduction_factor` trials goes on, the best of all. Which ones is
///           not known, so trials at equal distances stand for them. None: all trials go on to their ends
double sweep_seconds(std::span<const TrialWork> trials, std::size_t all, int groups,
                     std::span<const long> rungs, int reduction_factor);

}  // namespace fcmnist::plan
