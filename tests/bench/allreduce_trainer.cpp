#include "bench/allreduce_trainer.hpp"

#include "bench/plain_allreduce.hpp"
#include "bench/problem.hpp"
#include "core/error.hpp"
#include "core/share.hpp"
#include "data/batch_loader.hpp"
#include "train/trainer.hpp"

namespace fcmnist::bench {

// The README quotes the next two functions, word for word; tests/documents_test.py compares them.
// [begin of the step]

kernels::LossSums LocalStep::run(ArenaView<const float> weights, ArenaView<float> gradient) {
  // The samples of this step in the order of the epoch, and of these my share.
  const data::StepSamples step = plan_.at(steps_done_++);
  const Range share = share_of(step.positions.size(), ranks_, rank_);
  const auto ids = order_.order(step.epoch).subspan(step.positions.begin + share.begin, share.size());
  const MatrixView<float> images = workspace_.input(ids.size());
  data::fill_features(*dataset_, ids, images);
  data::fill_labels(*dataset_, ids, labels_);

  // My part of the gradient of the mean loss over the samples of all ranks.
  mlp_->forward<float>(weights, images, nullptr, workspace_);
  const float scale = 1.0F / static_cast<float>(samples_per_step_);
  const auto sums = kernels::softmax_cross_entropy_gradient(workspace_.logits(ids.size()), {labels_}, scale);
  mlp_->backward_deltas<float>(weights, ids.size(), workspace_);
  mlp_->backward_weights<float>(images, workspace_, model::Accumulate::write, gradient, parts_);
  return sums;
}

double AllreduceTrainer::step() {
  const std::size_t n = mlp_.layout().size();
  const auto sums = local_step_.run(weights_.view(), {mlp_.layout(), local_.data()});
  local_.data()[n] = static_cast<float>(sums.loss);  // travels behind the gradient
  plain_allreduce(*world_, {local_.data(), n + 1}, {total_.data(), n + 1});

  // All ranks have the same sum now, so that the same update keeps their weights the same.
  const float* const gradient[] = {total_.data()};
  const std::span<float> state[] = {momentum_buffer_.view().all()};
  optim::update_weights(optimizer_, update_step_, gradient, weights_.view().all(), state);
  return total_.data()[n] / static_cast<double>(local_step_.samples_per_step());
}

// [end of the step]

LocalStep::LocalStep(const Bench& bench, const config::RunConfig& config, const model::Mlp& mlp)
    : dataset_(&bench.dataset),
      mlp_(&mlp),
      ranks_(static_cast<std::size_t>(bench.world().size())),
      rank_(static_cast<std::size_t>(bench.world().rank())),
      samples_per_step_(train::step_batch(config, bench.world().size())),
      plan_(bench.dataset.samples(), samples_per_step_, config.train_input.drop_last_batch),
      order_(data::all_ids(bench.dataset.samples()), config.run.seed, config.train_input.shuffle),
      workspace_(mlp, static_cast<std::size_t>(config.train_input.batch_size_per_replica)),
      labels_(workspace_.max_samples()),
      parts_(mlp.gradient_parts()) {
  FCMNIST_CHECK(!mlp.takes_sparse_input(), "the plain step fills dense images");
}

AllreduceTrainer::AllreduceTrainer(const Bench& bench, const config::RunConfig& config)
    : world_(&bench.world()),
      optimizer_(config.optimizer),
      update_step_{optimizer_.learning_rate.front().initial_learning_rate},
      mlp_(mlp_of(config)),
      local_step_(bench, config, mlp_),
      weights_(mlp_.layout()),
      momentum_buffer_(mlp_.layout()),
      local_(mlp_.layout().size() + 1),
      total_(local_.size()) {
  mlp_.initialize(config.run.seed, weights_.view());
}

}  // namespace fcmnist::bench
