#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/epoch_plan.hpp"
#include "model/mlp.hpp"
#include "setup/context.hpp"
#include "setup/settle.hpp"
#include "setup/start_point.hpp"
#include "store/checkpoint.hpp"
#include "train/evaluator.hpp"
#include "train/model_state.hpp"
#include "train/replica_check.hpp"
#include "train/shared_dataset.hpp"
#include "train/trainer.hpp"

namespace fcmnist::run {

/// What a training run computes, without its files and log: the data, the model, its steps and its scores.
/// Every rank has one.
class Learner {
 public:
  /// Collective; all ranks throw the same errors. All arguments but `shapes` must outlive it. `mlp` has the
  /// layers of this rank's stage.
  Learner(const setup::RunContext& context, const train::Shapes& shapes, const data::EpochPlan& plan,
          const model::Mlp& mlp);

  /// What was taken from the checkpoint of a StartPoint.
  enum class Origin { nothing, weights, all };
  /// Initial weights, or those of the checkpoint that rank 0 has. Collective; the same answer on every rank,
  /// and the same StoreError.
  Origin begin(const setup::StartPoint& start);

  /// Collective, as Trainer::step.
  train::StepResult step(const train::Requests& mine) { return trainer_.step(mine); }
  /// Collective; only if evaluates().
  train::EvaluationResult evaluate() { return evaluator_->evaluate(); }
  [[nodiscard]] bool evaluates() const { return evaluator_.has_value(); }
  /// Collective, between steps: throws CommError on all ranks when their replicas are not the same bits.
  void check_replicas() const {
    train::check_replicas(context_->grid(), state_, steps_done(), context_->placement);
  }

  /// "60000 samples of 28 x 28, 468 steps of 128 samples per epoch, 4680 steps in all"
  [[nodiscard]] std::string description() const;
  [[nodiscard]] std::int64_t steps_done() const { return trainer_.steps_done(); }
  [[nodiscard]] std::int64_t total_steps() const { return total_steps_; }
  /// Of the last step done.
  [[nodiscard]] std::int64_t epoch() const;
  /// For a checkpoint, on rank 0: all but what only the log knows.
  [[nodiscard]] store::TrainState position() const;
  [[nodiscard]] const train::ModelState& state() const { return state_; }

 private:
  const setup::RunContext* context_;
  const data::EpochPlan* plan_;
  data::DatasetShape train_shape_;
  train::SharedDataset train_set_;
  std::optional<train::SharedDataset> eval_set_;
  data::Dataset train_view_, eval_view_;
  std::string labels_sha256_;  ///< rank 0 only
  std::int64_t total_steps_;
  train::ModelState state_;
  train::Trainer trainer_;
  std::optional<train::Evaluator> evaluator_;
};

}  // namespace fcmnist::run
