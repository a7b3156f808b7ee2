#include "train/evaluator.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "core/fixed_point.hpp"
#include "core/share.hpp"
#include "data/batch_loader.hpp"
#include "data/epoch_plan.hpp"
#include "kernels/softmax_loss.hpp"

namespace fcmnist::train {

/// Sums over the samples of this rank; empty but on the last stage.
struct Evaluator::Scores {
  ExactSum loss;
  std::vector<std::int64_t> confusion;
};

Evaluator::Evaluator(const config::RunConfig& config, const comm::Grid& grid, const data::Dataset& dataset,
                     const model::Mlp& mlp, bool give_way)
    : grid_(&grid),
      dataset_(&dataset),
      mlp_(&mlp),
      samples_(samples_to_score(config, grid.replicas(), dataset.samples())),
      microbatches_(evaluation_microbatches(config, grid.replicas(), grid.stages(), samples_)),
      max_samples_(microbatches_.largest(samples_)),
      workspace_(model::make_workspace(mlp, max_samples_)),
      link_(grid, comm::StageLink::Purpose::evaluation, mlp.inputs(), mlp.outputs(), max_samples_, give_way,
            model::number_bytes(mlp.precision())),
      labels_(max_samples_),
      predicted_(max_samples_),
      ids_(max_samples_) {}

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

EvaluationResult Evaluator::evaluate(const ModelState& state) {
  const std::size_t classes = static_cast<std::size_t>(dataset_->num_classes);
  Scores scores;
  scores.confusion.assign(classes * classes, 0);
  const std::size_t count = microbatches_.count(samples_, grid_->replica());
  link_.begin(count);
  const auto score_all = [&]<class T>(model::BasicWorkspace<T>& workspace) {
    const ArenaView<const T> weights = state.replica<T>().mine();
    for (std::size_t m = 0; m < count; ++m) {
      score(microbatches_.of(samples_, grid_->replica(), m), weights, workspace, scores);
    }
  };
  std::visit(score_all, workspace_);
  link_.finish();

  const comm::Communicator& world = grid_->world().world();
  std::array<double, ExactSum::part_count> parts;
  std::ranges::copy(scores.loss.parts(), parts.begin());
  world.sum(parts);
  world.sum(std::span(scores.confusion));
  std::int64_t correct = 0;
  for (std::size_t c = 0; c < classes; ++c) correct += scores.confusion[c * classes + c];
  EvaluationResult result;
  result.samples = samples_;
  result.loss = ExactSum(parts).value() / static_cast<double>(samples_);
  result.accuracy = static_cast<double>(correct) / static_cast<double>(samples_);
  result.confusion = std::move(scores.confusion);
  return result;
}

/// One microbatch through this stage.
template <class T>
void Evaluator::score(Range samples, ArenaView<const T> weights, model::BasicWorkspace<T>& workspace,
                      Scores& scores) {
  const auto ids = std::span(ids_).first(samples.size());
  std::iota(ids.begin(), ids.end(), static_cast<std::uint32_t>(samples.begin));
  const MatrixView<T> input = workspace.input(samples.size());
  if (grid_->is_first_stage()) data::fill_features(*dataset_, ids, input);
  link_.receive_activation(input);
  mlp_->forward(weights, input, nullptr, workspace);
  if (!grid_->is_last_stage()) return link_.send_activation(workspace.output(samples.size()));
  const auto labels = std::span(labels_).first(samples.size());
  const auto predicted = std::span(predicted_).first(samples.size());
  data::fill_labels(*dataset_, ids, labels);
  scores.loss.add(kernels::softmax_cross_entropy(workspace.logits(samples.size()), labels, predicted).loss);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    ++scores.confusion[labels[i] * mlp_->outputs() + predicted[i]];
  }
}

}  // namespace fcmnist::train
