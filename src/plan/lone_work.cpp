#include "plan/lone_work.hpp"

#include "train/trainer.hpp"

namespace fcmnist::plan {

namespace {

constexpr std::size_t id_stride = 7919;  // a prime: it reaches all samples, and none that lies near the last

}  // namespace

LoneWork::LoneWork(const config::RunConfig& config, const comm::Topology& topology, const model::Mlp& mlp,
                   int nodes, const data::Dataset& dataset, std::size_t samples)
    : grid_(topology),
      dataset_samples_(dataset.samples()),
      parts_(train::gradient_parts(mlp, nodes, config.run.reproducible)),
      weights_(mlp.layout().size() * model::number_bytes(mlp.precision())),
      gradient_(mlp.layout()),
      ids_(samples) {
  const model::WorkingWeights working(mlp.layout(), mlp.precision(), weights_.data());
  mlp.initialize(config.run.seed, gradient_.view());  // lent to the masters, since nobody reads the gradient
  working.round({0, mlp.layout().size()}, gradient_.view());
  data::InputOptions input = config.train_input;
  input.validation_size = 0;  // the made-up data are few
  work_ = train::make_stage_work({.grid = &grid_,
                                  .mlp = &mlp,
                                  .weights = working,
                                  .dataset = &dataset,
                                  .gradient_parts = parts_,
                                  .max_samples = samples,
                                  .seed = config.run.seed,
                                  .input = input,
                                  .observer = &observer_});
}

void LoneWork::compute_microbatch(const std::function<void()>& on_part) {
  constexpr float gradient_scale = 1e-3F;
  for (std::uint32_t& id : ids_) id = static_cast<std::uint32_t>((next_id_ += id_stride) % dataset_samples_);
  const train::Microbatch microbatch{0, ids_, 0};
  observer_.begin_step();
  work_->begin(1);
  work_->forward(microbatch, gradient_scale);
  work_->backward(microbatch, model::Accumulate::write, gradient_.view(), on_part);
  work_->finish();
}

std::size_t LoneWork::bytes(const model::Mlp& mlp, std::size_t samples) {
  const std::size_t of_number = model::number_bytes(mlp.precision()) + sizeof(float);
  return of_number * mlp.layout().size() +
         train::stage_work_bytes(comm::StageLink::Purpose::training, 1, 0, mlp, samples).activations;
}

}  // namespace fcmnist::plan
