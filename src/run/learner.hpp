#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "setup/context.hpp"
#include "setup/data_shelf.hpp"
#include "setup/settle.hpp"
#include "store/checkpoint.hpp"
#include "store/manifest.hpp"
#include "store/metrics_rows.hpp"
#include "store/predictions_file.hpp"
#include "train/evaluator.hpp"
#include "train/model_state.hpp"
#include "train/replica_check.hpp"
#include "train/trainer.hpp"

namespace fcmnist::run {

/// A model that learns: its weights, the data that it is trained on and scored on, its steps and its scores.
/// It knows no file and no log. Every rank has one.
class Learner {
 public:
  /// Reads the data and makes the model. Collective; all ranks throw the same errors. Both arguments must
  /// outlive it.
  Learner(const setup::Context& context, const setup::Settled& settled);

  /// What was taken from the checkpoint of the start point.
  enum class Origin { nothing, weights, all };
  /// Takes initial weights, or those of the checkpoint that rank 0 has. Collective; the same answer on every
  /// rank, and the same StoreError.
  Origin take_start_point();

  /// One step of training, as Trainer::step. Collective.
  train::StepResult step(const train::Requests& mine, bool with_weight_norms = false) {
    return trainer_.step(mine, with_weight_norms);
  }
  /// As Trainer::trace_into.
  void trace_into(train::SpanRecorder* recorder) { trainer_.trace_into(recorder); }
  /// Whether it is the average of the weights that is scored.
  [[nodiscard]] bool scores_average() const { return scores_average_; }
  /// Scores the weights as they are now, or their average if scores_average(). Collective; only if evaluates().
  train::EvaluationResult evaluate(bool with_logits) {
    return scored([&] { return evaluator_->evaluate(with_logits); });
  }
  /// The same of the weights themselves.
  train::EvaluationResult evaluate_trained() { return evaluator_->evaluate(); }
  /// What the result of an evaluation with logits says about each sample. On rank 0.
  [[nodiscard]] store::Predictions predictions(const train::EvaluationResult& result) const;
  [[nodiscard]] bool evaluates() const { return evaluator_.has_value(); }
  /// As evaluate(), with the samples that are held out of the training set. Collective; only if validates().
  train::EvaluationResult validate() {
    return scored([&] { return validator_->evaluate(); });
  }
  [[nodiscard]] bool validates() const { return validator_.has_value(); }
  /// Throws CommError on all ranks when the weights of their replicas are not the same bits. Collective,
  /// between steps.
  void check_replicas() const {
    train::check_replicas(context_->grid(), state_, steps_done(), context_->placement());
  }

  /// "60000 samples of 28 x 28, 468 steps of 128 samples per epoch, 4680 steps in all"
  [[nodiscard]] std::string description() const;
  [[nodiscard]] std::int64_t steps_done() const { return trainer_.steps_done(); }
  [[nodiscard]] std::int64_t total_steps() const { return settled_->total_steps; }
  [[nodiscard]] std::int64_t epoch() const;  ///< of the last step done
  /// Where training stands, for a checkpoint. Only the sums since the last log line are missing. On rank 0.
  [[nodiscard]] store::TrainState position() const;
  [[nodiscard]] const train::ModelState& state() const { return state_; }
  /// What the rows of its metrics are about.
  [[nodiscard]] store::MetricsSubject metrics_subject() const;
  /// What every file of the run says about it: the manifest of the settled run, and which data were read. On
  /// rank 0.
  [[nodiscard]] const store::Manifest& manifest() const { return manifest_; }

 private:
  void make_validator();
  template <class Score>
  train::EvaluationResult scored(Score score) {
    if (!scores_average_) return score();
    state_.use_average();
    train::EvaluationResult result = score();
    state_.use_trained();
    return result;
  }

  const setup::Context* context_;
  const setup::Settled* settled_;
  bool scores_average_;
  std::shared_ptr<const setup::LoadedSet> train_set_, eval_set_;
  data::Dataset train_view_, eval_view_;
  store::Manifest manifest_;   ///< with the data on rank 0 only
  std::string labels_sha256_;  ///< rank 0 only
  train::ModelState state_;
  train::Trainer trainer_;
  std::optional<train::Evaluator> validator_, evaluator_;
};

}  // namespace fcmnist::run
