#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/sweep.hpp"
#include "core/log.hpp"
#include "run/sweep_dir.hpp"
#include "store/manifest.hpp"
#include "store/sweep_file.hpp"

namespace fcmnist::run {

/// What the folders of all trials say, read from their files. For one process at a time; it writes nothing.
///   classes  of the data set
store::Sweep gather_trials(const SweepDir& directory, const config::SweepOptions& sweep, int classes,
                           Logger& log);

/// Whether a trial has been validated and saved at this step or a later one, or has ended otherwise; one that has failed
/// has not.
bool has_reached(const SweepDir& directory, long trial, std::int64_t step, int classes);

/// A rung of successive halving: those of the trials that go on, the best first. All others that have not ended are
/// recorded as dropped. Ties go to the smaller number.
std::vector<long> promote(const SweepDir& directory, const config::SweepOptions& sweep,
                          std::span<const long> trials, std::int64_t rung, int classes, Logger& log);

/// What gather_trials() finds, into sweep.h5, as a whole; of several jobs that end at once one after the other. Throws StoreError.
store::Sweep write_results(const SweepDir& directory, const config::SweepOptions& sweep,
                           const config::RunConfig& common, const store::Manifest& manifest, Logger& log);

}  // namespace fcmnist::run
