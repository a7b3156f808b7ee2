#include "train/evaluator.hpp"

#include <algorithm>
#include <numeric>

#include "core/share.hpp"
#include "data/batch_loader.hpp"
#include "data/epoch_plan.hpp"
#include "kernels/softmax_loss.hpp"

namespace fcmnist::train {

namespace {

std::size_t samples_to_score(const config::RunConfig& config, int ranks, std::size_t available) {
  if (config.run.eval_steps == 0) return available;
  return std::min(available, static_cast<std::size_t>(config.run.eval_steps) *
                                 data::global_batch(config.eval_input, ranks));
}

/// Samples that a rank computes at once: its share of the batch, but no more than its share of the samples.
std::size_t samples_per_batch(const config::RunConfig& config, int ranks, std::size_t samples) {
  const auto parts = static_cast<std::size_t>(ranks);
  const std::size_t batch = std::min(data::global_batch(config.eval_input, ranks), samples);
  return std::max<std::size_t>((batch + parts - 1) / parts, 1);
}

}  // namespace

Evaluator::Evaluator(const config::RunConfig& config, const comm::Topology& topology,
                     const data::Dataset& dataset, const model::Mlp& mlp)
    : topology_(&topology),
      dataset_(&dataset),
      mlp_(&mlp),
      samples_(samples_to_score(config, topology.world().size(), dataset.samples())),
      workspace_(mlp, samples_per_batch(config, topology.world().size(), samples_)),
      features_(workspace_.max_samples() * mlp.inputs()),
      labels_(workspace_.max_samples()),
      predicted_(workspace_.max_samples()),
      ids_(workspace_.max_samples()) {}

EvaluationResult Evaluator::evaluate(ArenaView<const float> weights) {
  const std::size_t classes = mlp_->outputs();
  EvaluationResult result;
  result.samples = samples_;
  result.confusion.assign(classes * classes, 0);
  double loss[] = {0.0};
  const Range share = share_of(samples_, static_cast<std::size_t>(topology_->world().size()),
                               static_cast<std::size_t>(topology_->world().rank()));
  for (std::size_t begin = share.begin; begin < share.end; begin += workspace_.max_samples()) {
    const std::size_t count = std::min(workspace_.max_samples(), share.end - begin);
    const auto ids = std::span(ids_).first(count);
    std::iota(ids.begin(), ids.end(), static_cast<std::uint32_t>(begin));
    const MatrixView<float> input(features_.data(), count, mlp_->inputs());
    data::fill_batch(*dataset_, ids, input, std::span(labels_).first(count));
    const auto logits = mlp_->forward(weights, input, nullptr, workspace_);
    loss[0] += kernels::softmax_cross_entropy(logits, std::span(labels_).first(count),
                                              std::span(predicted_).first(count))
                   .loss;
    for (std::size_t i = 0; i < count; ++i) ++result.confusion[labels_[i] * classes + predicted_[i]];
  }
  topology_->world().sum(loss);
  topology_->world().sum(std::span(result.confusion));
  std::int64_t correct = 0;
  for (std::size_t c = 0; c < classes; ++c) correct += result.confusion[c * classes + c];
  result.loss = loss[0] / static_cast<double>(samples_);
  result.accuracy = static_cast<double>(correct) / static_cast<double>(samples_);
  return result;
}

}  // namespace fcmnist::train
