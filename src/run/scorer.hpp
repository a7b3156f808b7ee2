#pragma once

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "model/mlp.hpp"
#include "setup/context.hpp"
#include "store/checkpoint.hpp"
#include "train/evaluator.hpp"
#include "train/model_state.hpp"

namespace fcmnist::run {

/// A network that scores checkpoints of one precision.
class Scorer {
 public:
  /// Collective; all ranks throw the same CommError. `config` has the precision. `dataset` must outlive it.
  Scorer(const setup::Context& context, const config::RunConfig& config, const data::Dataset& dataset);

  [[nodiscard]] model::Precision precision() const { return mlp_.precision(); }

  /// The weights that eval_input.weights names. `checkpoint`: on rank 0. Collective.
  train::EvaluationResult score(const store::Checkpoint* checkpoint, bool with_logits);

 private:
  const setup::Context* context_;
  data::ScoredWeights weights_;
  model::Mlp mlp_;
  train::ModelState state_;
  train::Evaluator evaluator_;
};

/// Whether it is the average of a checkpoint's weights that is scored: if it has one, and eval_input.weights does not ask
/// for the trained ones. On rank 0.
bool is_average_scored(data::ScoredWeights weights, const store::Checkpoint& checkpoint);

/// The configuration in which a checkpoint is scored: that precision, and if it is float32 the first layer's products of
/// its run. Collective.
///   config      otherwise
///   checkpoint  on rank 0
config::RunConfig scoring_config(const comm::Communicator& world, config::RunConfig config,
                                 model::Precision precision, const store::Checkpoint* checkpoint);

}  // namespace fcmnist::run
