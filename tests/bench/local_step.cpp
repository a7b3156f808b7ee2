#include "bench/local_step.hpp"

#include "core/share.hpp"
#include "data/batch_loader.hpp"
#include "train/trainer.hpp"

namespace fcmnist::bench {

LocalStep::LocalStep(const Bench& bench, const config::RunConfig& config, const model::Mlp& mlp)
    : bench_(&bench),
      mlp_(&mlp),
      samples_per_step_(train::step_batch(config, bench.world().size())),
      plan_(bench.dataset.samples(), samples_per_step_, config.train_input.drop_last_batch),
      order_(bench.dataset.samples(), config.run.seed, config.train_input.shuffle),
      workspace_(mlp, static_cast<std::size_t>(config.train_input.batch_size_per_replica)),
      labels_(workspace_.max_samples()),
      parts_(mlp.gradient_parts()) {}

kernels::LossSums LocalStep::run(ArenaView<const float> weights, ArenaView<float> gradient) {
  const data::StepSamples samples = plan_.at(steps_done_++);
  const Range share = share_of(samples.positions.size(), static_cast<std::size_t>(bench_->world().size()),
                               static_cast<std::size_t>(bench_->world().rank()));
  const auto ids = order_.order(samples.epoch).subspan(samples.positions.begin + share.begin, share.size());
  const MatrixView<float> input = workspace_.input(ids.size());
  data::fill_features(bench_->dataset, ids, input);
  data::fill_labels(bench_->dataset, ids, labels_);

  mlp_->forward<float>(weights, input, nullptr, workspace_);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(samples_per_step_));
  const kernels::LossSums sums =
      kernels::softmax_cross_entropy_gradient(workspace_.logits(ids.size()), labels_, scale);
  mlp_->backward_deltas<float>(weights, ids.size(), workspace_);
  mlp_->backward_weights<float>(input, workspace_, model::Accumulate::write, gradient, parts_);
  return sums;
}

}  // namespace fcmnist::bench
