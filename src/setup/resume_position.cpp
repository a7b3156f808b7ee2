#include "setup/resume_position.hpp"

#include <fmt/format.h>

#include <tuple>

#include "core/error.hpp"

namespace fcmnist::setup {

store::TrainState position_after(std::int64_t step, const data::EpochPlan& plan, std::uint64_t seed,
                                 std::string_view labels_sha256) {
  const data::StepSamples next = plan.at(static_cast<std::uint64_t>(step));
  store::TrainState state;
  state.step = step;
  state.epoch = static_cast<std::int64_t>(next.epoch);
  state.step_in_epoch = step % static_cast<std::int64_t>(plan.steps_per_epoch());
  state.samples_seen = state.epoch * static_cast<std::int64_t>(plan.samples_per_epoch()) +
                       static_cast<std::int64_t>(next.positions.begin);
  state.seed = seed;
  state.labels_sha256 = labels_sha256;
  return state;
}

void check_same_position(const store::TrainState& saved, const store::TrainState& now,
                         const std::string& data_dir, int replicas) {
  if (saved.labels_sha256 != now.labels_sha256) {
    throw DataError(
        fmt::format("{}: not the training set that the run began with: its labels differ", data_dir),
        "point train_input.data_dir to the same data, or use another -o/--model_dir");
  }
  const auto place = [](const store::TrainState& state) {
    return std::tie(state.epoch, state.step_in_epoch, state.samples_seen, state.seed);
  };
  if (place(saved) == place(now)) return;
  throw UsageError(
      fmt::format(
          "step {} was epoch {}, step {} in it, after {} samples; with {} replicas it is epoch {}, step {} "
          "in it, after {} samples",
          now.step, saved.epoch, saved.step_in_epoch, saved.samples_seen, replicas, now.epoch,
          now.step_in_epoch, now.samples_seen),
      "batch_size_per_replica makes the global batch depend on the number of replicas: resume on as many as "
      "before (ranks / runconfig.pipeline_stages), or give the global batch of then as "
      "train_input.batch_size in its place");
}

}  // namespace fcmnist::setup
