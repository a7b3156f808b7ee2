#include "train/replica_samples.hpp"

#include <vector>

#include "data/validation_split.hpp"

namespace fcmnist::train {

namespace {

std::vector<std::uint32_t> ids_to_train_on(const config::RunConfig& config, const data::Dataset& dataset) {
  const auto held_out = static_cast<std::size_t>(config.train_input.validation_size);
  return data::split_off_validation(dataset.samples(), held_out, config.run.seed).training;
}

}  // namespace

ReplicaSamples::ReplicaSamples(const config::RunConfig& config, const data::Dataset& dataset,
                               const data::EpochPlan& plan, const Microbatches& microbatches, int replica)
    : plan_(&plan),
      order_(ids_to_train_on(config, dataset), config.run.seed, config.train_input.shuffle),
      microbatches_(microbatches),
      replica_(replica) {}

ReplicaSamples::Step ReplicaSamples::at(std::int64_t number) {
  const data::StepSamples samples = plan_->at(static_cast<std::uint64_t>(number));
  const Range positions = samples.positions;
  const auto ids = order_.order(samples.epoch).subspan(positions.begin, positions.size());
  return {static_cast<std::uint32_t>(samples.epoch), ids, microbatches_.count(ids.size(), replica_)};
}

std::span<const std::uint32_t> ReplicaSamples::microbatch(const Step& step, std::size_t n) const {
  const Range part = microbatches_.of(step.ids.size(), replica_, n);
  return step.ids.subspan(part.begin, part.size());
}

}  // namespace fcmnist::train
