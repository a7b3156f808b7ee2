#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "model/mlp.hpp"
#include "train/microbatches.hpp"
#include "train/model_state.hpp"
#include "train/observer.hpp"
#include "train/stage_work.hpp"

namespace fcmnist::train {

struct EvaluationResult {
  std::size_t samples = 0;
  double loss = 0.0;                    ///< mean over samples, nats
  double accuracy = 0.0;                ///< 0 to 1
  std::vector<std::int64_t> confusion;  ///< (classes x classes): row = true label, column = predicted
  std::vector<std::uint8_t> predicted;  ///< (samples) class given to each, in the order of their ids
  /// (samples x classes) on rank 0 if they were asked for, else empty. With eval_input.average_shifts the logarithm of the
  /// mean probabilities.
  std::vector<float> logits;
};

/// Samples that are scored, and how.
struct ToScore {
  std::vector<std::uint32_t> ids;  ///< of samples of the data set, at least one
  int average_shifts = 0;          ///< see data::InputOptions
};

/// Scores each of some samples of a data set exactly once, whatever the number of ranks is: as it is, or with
/// average_shifts by the mean of the probabilities that its shifted images get.
class Evaluator {
 public:
  /// Collective. All arguments but `what` must outlive it.
  ///   mlp    the layers of this rank's stage
  ///   state  its weights
  Evaluator(const config::RunConfig& config, const comm::Grid& grid, const data::Dataset& dataset,
            ToScore what, const model::Mlp& mlp, const ModelState& state, bool give_way);

  /// Samples that are scored of an eval_input that has so many: all, or the first eval_steps batches.
  static std::size_t samples_to_score(const config::RunConfig& config, int replicas, std::size_t available);
  /// These samples, scored as eval_input says.
  static ToScore of_eval_input(const config::RunConfig& config, int replicas, std::size_t available);
  /// Of so many samples, those that a replica scores at once, at most.
  static std::size_t microbatch(const config::RunConfig& config, int replicas, int stages,
                                std::size_t samples);

  /// Scores with the weights as they are now. Collective; the same result on every rank, but for the logits.
  EvaluationResult evaluate(bool with_logits = false);

 private:
  struct Scores;

  /// The logits of all samples on rank 0. Collective.
  [[nodiscard]] std::vector<float> gather_logits(std::span<const float> mine) const;

  const comm::Grid* grid_;
  std::size_t classes_;
  std::vector<std::uint32_t> ids_;  ///< of the samples that are scored
  Microbatches microbatches_;
  StepObserver observer_;
  std::unique_ptr<StageWork> work_;
};

}  // namespace fcmnist::train
