#include "train/evaluator.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/fixed_point.hpp"
#include "core/share.hpp"
#include "data/epoch_order.hpp"
#include "data/epoch_plan.hpp"

namespace fcmnist::train {

/// Sums over the samples of this rank; empty but on the last stage.
struct Evaluator::Scores {
  ExactSum loss;
  /// The confusion matrix, and behind it the class given to each sample: 0 for those of other ranks.
  std::vector<std::int64_t> counts;
  std::vector<float> logits;  ///< (samples of this rank x classes), if they are wanted

  void add(const Scored& microbatch, std::size_t first_sample, std::size_t classes, bool with_logits) {
    loss.add(microbatch.sums.loss);
    for (std::size_t i = 0; i < microbatch.labels.size(); ++i) {
      ++counts[microbatch.labels[i] * classes + microbatch.predicted[i]];
      counts[classes * classes + first_sample + i] = microbatch.predicted[i];
      for (std::size_t c = 0; with_logits && c < classes; ++c) logits.push_back(microbatch.logits.row(c)[i]);
    }
  }
};

Evaluator::Evaluator(const config::RunConfig& config, const comm::Grid& grid, const data::Dataset& dataset,
                     ToScore what, const model::Mlp& mlp, const ModelState& state, bool give_way)
    : grid_(&grid),
      classes_(static_cast<std::size_t>(dataset.num_classes)),
      ids_(std::move(what.ids)),
      microbatches_(evaluation_microbatches(config, grid.replicas(), grid.stages(), ids_.size())),
      observer_(grid.stages(), grid.stage()),
      work_(make_stage_work({.grid = &grid,
                             .purpose = comm::StageLink::Purpose::evaluation,
                             .mlp = &mlp,
                             .weights = state.working_weights(),
                             .dataset = &dataset,
                             .gradient_parts = {},
                             .max_samples = microbatches_.largest(ids_.size()),
                             .average_shifts = what.average_shifts,
                             .give_way = give_way,
                             .observer = &observer_})) {}

std::size_t Evaluator::samples_to_score(const config::RunConfig& config, int replicas,
                                        std::size_t available) {
  if (config.run.eval_steps == 0) return available;
  return std::min(available, static_cast<std::size_t>(config.run.eval_steps) *
                                 data::global_batch(config.eval_input, replicas));
}

ToScore Evaluator::of_eval_input(const config::RunConfig& config, int replicas, std::size_t available) {
  return {data::all_ids(samples_to_score(config, replicas, available)), config.eval_input.average_shifts};
}

std::size_t Evaluator::microbatch(const config::RunConfig& config, int replicas, int stages,
                                  std::size_t samples) {
  return evaluation_microbatches(config, replicas, stages, samples).largest(samples);
}

EvaluationResult Evaluator::evaluate(bool with_logits) {
  const std::size_t cells = classes_ * classes_;
  Scores scores;
  scores.counts.assign(cells + ids_.size(), 0);
  const std::size_t count = microbatches_.count(ids_.size(), grid_->replica());
  work_->begin(count);
  for (std::size_t m = 0; m < count; ++m) {
    const Range part = microbatches_.of(ids_.size(), grid_->replica(), m);
    scores.add(work_->score(std::span(ids_).subspan(part.begin, part.size())), part.begin, classes_,
               with_logits);
  }
  work_->finish();

  const comm::Communicator& world = grid_->world().world();
  std::array<double, ExactSum::part_count> parts;
  std::ranges::copy(scores.loss.parts(), parts.begin());
  world.sum(parts);
  world.sum(std::span(scores.counts));
  std::int64_t correct = 0;
  for (std::size_t c = 0; c < classes_; ++c) correct += scores.counts[c * classes_ + c];
  EvaluationResult result;
  result.samples = ids_.size();
  result.loss = ExactSum(parts).value() / static_cast<double>(ids_.size());
  result.accuracy = static_cast<double>(correct) / static_cast<double>(ids_.size());
  result.confusion.assign(scores.counts.begin(), scores.counts.begin() + static_cast<std::ptrdiff_t>(cells));
  for (const std::int64_t predicted : std::span(scores.counts).subspan(cells)) {
    result.predicted.push_back(static_cast<std::uint8_t>(predicted));
  }
  if (with_logits) result.logits = gather_logits(scores.logits);
  return result;
}

std::vector<float> Evaluator::gather_logits(std::span<const float> mine) const {
  const comm::Communicator& world = grid_->world().world();
  const bool is_root = world.rank() == 0;
  std::vector<float> all(is_root ? ids_.size() * classes_ : 0);
  const std::size_t first = microbatches_.samples_of(ids_.size(), grid_->replica()).begin * classes_;
  // Each logit is known to one rank, and the others add 0. The pieces keep this memory small.
  constexpr std::size_t most_in_piece = std::size_t{1} << 16;
  std::vector<double> piece;
  for (std::size_t begin = 0; begin < ids_.size() * classes_; begin += most_in_piece) {
    const std::size_t end = std::min(begin + most_in_piece, ids_.size() * classes_);
    piece.assign(end - begin, 0.0);
    const std::size_t from = std::max(begin, first), to = std::min(end, first + mine.size());
    for (std::size_t i = from; i < to; ++i) piece[i - begin] = mine[i - first];
    world.sum(piece);
    if (is_root) std::ranges::copy(piece, all.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  return all;
}

}  // namespace fcmnist::train
