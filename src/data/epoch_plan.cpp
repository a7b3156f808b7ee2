#include "data/epoch_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"

namespace fcmnist::data {

std::size_t global_batch(const InputOptions& input, int replicas) {
  if (input.batch_size_per_replica == 0) return static_cast<std::size_t>(input.batch_size);
  return static_cast<std::size_t>(input.batch_size_per_replica) * static_cast<std::size_t>(replicas);
}

EpochPlan::EpochPlan(std::size_t samples, std::size_t step_batch, bool drop_last_batch,
                     std::uint64_t max_steps)
    : samples_(samples), step_batch_(step_batch) {
  FCMNIST_CHECK(samples > 0 && step_batch > 0, fmt::format("{} samples, {} per step", samples, step_batch));
  const std::uint64_t whole_steps = samples / step_batch;
  const bool has_tail = samples % step_batch != 0;
  steps_per_epoch_ = whole_steps + (has_tail && !drop_last_batch ? 1 : 0);
  if (steps_per_epoch_ == 0) {
    throw UsageError(
        fmt::format(
            "an epoch has no step: drop_last_batch leaves out the tail, and {} samples / {} samples per step "
            "(batch_size x grad_accum_steps) = 0 whole steps",
            samples, step_batch),
        fmt::format("use batch_size x grad_accum_steps of at most {}, or drop_last_batch False", samples));
  }
  if (max_steps > 0) steps_per_epoch_ = std::min(steps_per_epoch_, max_steps);
}

std::size_t EpochPlan::samples_per_epoch() const {
  return std::min<std::size_t>(samples_, steps_per_epoch_ * step_batch_);
}

StepSamples EpochPlan::at(std::uint64_t step) const {
  const std::size_t begin = step % steps_per_epoch_ * step_batch_;
  return {step / steps_per_epoch_, {begin, std::min(begin + step_batch_, samples_)}};
}

}  // namespace fcmnist::data
