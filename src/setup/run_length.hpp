#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "config/run_config.hpp"
#include "core/log.hpp"
#include "optim/options.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::setup {

/// Steps of the whole run: the smaller of max_steps and num_epochs, of those that are given.
std::int64_t count_steps(const config::RunOptions& run, std::uint64_t steps_per_epoch);

/// What to say if a run that goes on after `steps_done` steps is of another length now, and the schedule, which
/// ends with training, therefore changes the learning rate at once by more than a factor of 1.5. Nothing if it
/// does not, or if the schedule would have done so anyway.
std::optional<std::string> rate_change(std::span<const optim::SchedulePiece> schedule,
                                       std::int64_t steps_done, std::int64_t total_before,
                                       std::int64_t total_now);

/// Says that of the run of a checkpoint. For rank 0.
void warn_of_rate_change(const store::CheckpointHeader& checkpoint, const config::RunConfig& now,
                         std::uint64_t steps_per_epoch, Logger& log);

}  // namespace fcmnist::setup
