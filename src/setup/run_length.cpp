#include "setup/run_length.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/load.hpp"
#include "optim/schedule.hpp"

namespace fcmnist::setup {

namespace {

constexpr double noticed_factor = 1.5;

bool is_noticed(double before, double now) {
  return std::max(before, now) > noticed_factor * std::min(before, now);
}

}  // namespace

std::int64_t count_steps(const config::RunOptions& run, std::uint64_t steps_per_epoch) {
  const std::int64_t by_epochs = run.num_epochs * static_cast<std::int64_t>(steps_per_epoch);
  if (run.max_steps == 0) return by_epochs;
  return run.num_epochs == 0 ? run.max_steps : std::min<std::int64_t>(run.max_steps, by_epochs);
}

std::optional<std::string> rate_change(std::span<const optim::SchedulePiece> schedule,
                                       std::int64_t steps_done, std::int64_t total_before,
                                       std::int64_t total_now) {
  if (steps_done == 0 || steps_done >= total_now || total_before == total_now) return std::nullopt;
  const double last = optim::learning_rate(schedule, steps_done - 1, total_before);
  const double next_before = optim::learning_rate(schedule, steps_done, total_before);
  const double next = optim::learning_rate(schedule, steps_done, total_now);
  if (!is_noticed(last, next) || !is_noticed(next_before, next)) return std::nullopt;
  return fmt::format(
      "the learning rate {} from {:.3g} in step {} to {:.3g} in step {}: its schedule ends with training, "
      "after {} steps now instead of {}",
      next > last ? "jumps" : "falls", last, steps_done, next, steps_done + 1, total_now, total_before);
}

void warn_of_rate_change(const store::CheckpointHeader& checkpoint, const config::RunConfig& now,
                         std::uint64_t steps_per_epoch, Logger& log) {
  config::Sources sources;
  sources.yaml = checkpoint.config_yaml;
  sources.yaml_name = "configuration in the checkpoint";
  const config::RunOptions before = config::load(sources).config.run;
  const auto change =
      rate_change(now.optimizer.learning_rate, checkpoint.state.step, count_steps(before, steps_per_epoch),
                  count_steps(now.run, steps_per_epoch));
  if (change) log.warn("{}", *change);
}

}  // namespace fcmnist::setup
