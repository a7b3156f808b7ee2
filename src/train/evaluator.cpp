#include "train/evaluator.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "core/fixed_point.hpp"
#include "core/share.hpp"
#include "data/epoch_plan.hpp"

namespace fcmnist::train {

/// Sums over the samples of this rank; empty but on the last stage.
struct Evaluator::Scores {
  ExactSum loss;
  std::vector<std::int64_t> confusion;

  void add(const Scored& microbatch, std::size_t classes) {
    loss.add(microbatch.sums.loss);
    for (std::size_t i = 0; i < microbatch.labels.size(); ++i) {
      ++confusion[microbatch.labels[i] * classes + microbatch.predicted[i]];
    }
  }
};

Evaluator::Evaluator(const config::RunConfig& config, const comm::Grid& grid, const data::Dataset& dataset,
                     const model::Mlp& mlp, const ModelState& state, bool give_way)
    : grid_(&grid),
      classes_(static_cast<std::size_t>(dataset.num_classes)),
      samples_(samples_to_score(config, grid.replicas(), dataset.samples())),
      microbatches_(evaluation_microbatches(config, grid.replicas(), grid.stages(), samples_)),
      observer_(grid.stages(), grid.stage()),
      work_(make_stage_work({.grid = &grid,
                             .purpose = comm::StageLink::Purpose::evaluation,
                             .mlp = &mlp,
                             .weights = state.working_weights(),
                             .dataset = &dataset,
                             .gradient_parts = {},
                             .max_samples = microbatches_.largest(samples_),
                             .give_way = give_way,
                             .observer = &observer_})),
      ids_(microbatches_.largest(samples_)) {}

std::size_t Evaluator::samples_to_score(const config::RunConfig& config, int replicas,
                                        std::size_t available) {
  if (config.run.eval_steps == 0) return available;
  return std::min(available, static_cast<std::size_t>(config.run.eval_steps) *
                                 data::global_batch(config.eval_input, replicas));
}

std::size_t Evaluator::microbatch(const config::RunConfig& config, int replicas, int stages,
                                  std::size_t available) {
  const std::size_t samples = samples_to_score(config, replicas, available);
  return evaluation_microbatches(config, replicas, stages, samples).largest(samples);
}

EvaluationResult Evaluator::evaluate() {
  Scores scores;
  scores.confusion.assign(classes_ * classes_, 0);
  const std::size_t count = microbatches_.count(samples_, grid_->replica());
  work_->begin(count);
  for (std::size_t m = 0; m < count; ++m) {
    const Range part = microbatches_.of(samples_, grid_->replica(), m);
    const auto ids = std::span(ids_).first(part.size());
    std::iota(ids.begin(), ids.end(), static_cast<std::uint32_t>(part.begin));
    scores.add(work_->score(ids), classes_);
  }
  work_->finish();

  const comm::Communicator& world = grid_->world().world();
  std::array<double, ExactSum::part_count> parts;
  std::ranges::copy(scores.loss.parts(), parts.begin());
  world.sum(parts);
  world.sum(std::span(scores.confusion));
  std::int64_t correct = 0;
  for (std::size_t c = 0; c < classes_; ++c) correct += scores.confusion[c * classes_ + c];
  EvaluationResult result;
  result.samples = samples_;
  result.loss = ExactSum(parts).value() / static_cast<double>(samples_);
  result.accuracy = static_cast<double>(correct) / static_cast<double>(samples_);
  result.confusion = std::move(scores.confusion);
  return result;
}

}  // namespace fcmnist::train
