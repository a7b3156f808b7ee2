#include "train/replica_samples.hpp"

namespace fcmnist::train {

ReplicaSamples::ReplicaSamples(const config::RunConfig& config, const data::Dataset& dataset,
                               const data::EpochPlan& plan, const Microbatches& microbatches, int replica)
    : plan_(&plan),
      order_(dataset.samples(), config.run.seed, config.train_input.shuffle),
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
