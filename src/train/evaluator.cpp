#include "train/evaluator.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/fixed_point.hpp"
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

}  // namespace

Evaluator::Evaluator(const config::RunConfig& config, const comm::Topology& topology,
                     const data::Dataset& dataset, const model::Mlp& mlp)
    : topology_(&topology),
      dataset_(&dataset),
      mlp_(&mlp),
      samples_(samples_to_score(config, topology.world().size(), dataset.samples())),
      microbatches_(evaluation_microbatches(config, topology.world().size(), samples_)),
      workspace_(mlp, microbatches_.largest(samples_)),
      features_(workspace_.max_samples() * mlp.inputs()),
      labels_(workspace_.max_samples()),
      predicted_(workspace_.max_samples()),
      ids_(workspace_.max_samples()) {}

EvaluationResult Evaluator::evaluate(ArenaView<const float> weights) {
  const std::size_t classes = mlp_->outputs();
  EvaluationResult result;
  result.samples = samples_;
  result.confusion.assign(classes * classes, 0);
  ExactSum loss;
  const int rank = topology_->world().rank();
  for (std::size_t m = 0; m < microbatches_.count(samples_, rank); ++m) {
    const Range part = microbatches_.of(samples_, rank, m);
    const auto ids = std::span(ids_).first(part.size());
    std::iota(ids.begin(), ids.end(), static_cast<std::uint32_t>(part.begin));
    const MatrixView<float> input(features_.data(), part.size(), mlp_->inputs());
    const auto labels = std::span(labels_).first(part.size());
    const auto predicted = std::span(predicted_).first(part.size());
    data::fill_batch(*dataset_, ids, input, labels);
    const auto logits = mlp_->forward(weights, input, nullptr, workspace_);
    loss.add(kernels::softmax_cross_entropy(logits, labels, predicted).loss);
    for (std::size_t i = 0; i < part.size(); ++i) ++result.confusion[labels[i] * classes + predicted[i]];
  }
  std::array<double, ExactSum::part_count> parts;
  std::ranges::copy(loss.parts(), parts.begin());
  topology_->world().sum(parts);
  topology_->world().sum(std::span(result.confusion));
  std::int64_t correct = 0;
  for (std::size_t c = 0; c < classes; ++c) correct += result.confusion[c * classes + c];
  result.loss = ExactSum(parts).value() / static_cast<double>(samples_);
  result.accuracy = static_cast<double>(correct) / static_cast<double>(samples_);
  return result;
}

}  // namespace fcmnist::train
