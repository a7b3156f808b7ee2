#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "data/epoch_plan.hpp"
#include "model/mlp.hpp"
#include "train/gradient_sum.hpp"
#include "train/model_state.hpp"
#include "train/observer.hpp"
#include "train/replica_samples.hpp"
#include "train/stage_work.hpp"
#include "train/step_sums.hpp"
#include "train/verdict.hpp"
#include "train/weight_update.hpp"

namespace fcmnist::train {

/// The parts in which backward finishes the gradient of a stage, and their ranges. Between nodes a part has
/// about 65,536 numbers, so that it travels while the rest is computed; within a node there is nothing to
/// hide, and a layer is one part, since short GEMMs are slower. So it is in any world for the same bits in
/// all.
///   nodes  that have ranks of the stage
std::vector<model::GradientPart> gradient_parts(const model::Mlp& mlp, int nodes, bool reproducible);
std::vector<Range> ranges_of(std::span<const model::GradientPart> parts);

/// What one step did; the same on every rank, but for the time split.
struct StepResult {
  std::int64_t step = 0;   ///< steps done, this one included
  std::int64_t epoch = 0;  ///< the epoch of the step, counted from 0
  std::size_t samples = 0;
  double loss = 0.0;      ///< mean over the step's samples, before the update
  double accuracy = 0.0;  ///< share of its samples that were classified correctly before the update
  double learning_rate = 0.0;
  double gradient_norm = 0.0;  ///< before clipping; NaN if the loss was not finite
  /// The same of each array of the network, in the order of its layout; none if the weights were left as they
  /// are. Valid until the next step.
  std::span<const double> array_norms = {};
  /// Of each array the norm of its weights after the update, and of what the update has changed; only if they
  /// were asked for, and none if the weights were left as they are. Valid until the next step.
  WeightUpdate::WeightNorms weight_norms = {};
  double loss_scale = 1.0;      ///< the one that this step used; see optim::LossScale
  bool skipped = false;         ///< loss or gradient was not finite, so the weights were left as they are
  std::int64_t recomputed = 0;  ///< how often the gradient was computed again; see GradientSum::repeat_for()
  Requests requests;            ///< what any rank has asked for
  TimeSplit time;               ///< where the time of this rank went
  PipelineTime pipeline;        ///< where the time of this replica's stages went
};

/// One stage of one replica of the model, and its share of every step.
class Trainer {
 public:
  /// Collective. All arguments must outlive it. `mlp` has the layers of this rank's stage; `total_steps` is
  /// the length of training, for the learning rate.
  Trainer(const config::RunConfig& config, const comm::Grid& grid, const data::Dataset& dataset,
          const data::EpochPlan& plan, const model::Mlp& mlp, ModelState& state, std::int64_t total_steps,
          bool give_way);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// One optimizer step. Collective. Throws DivergedError on all ranks when the loss is not finite, before
  /// any weight has changed, or when the gradient is not. With NanPolicy::skip such a step changes nothing,
  /// and only the last of Judge::most_skipped_in_a_row is an error. A gradient that a smaller loss scale may
  /// make finite is no error: the step changes nothing but the scale.
  ///   with_weight_norms  the same on all ranks
  StepResult step(const Requests& mine = {}, bool with_weight_norms = false);

  /// From the next step on all that this rank does is recorded, each product of matrices too; nullptr: it is not
  /// any more.
  void trace_into(SpanRecorder* recorder);

  [[nodiscard]] std::int64_t steps_done() const { return steps_done_; }
  /// What a checkpoint must hold for the same bits after a resume, besides weights and optimizer state.
  [[nodiscard]] Judge::State judge_state() const { return judge_.state(); }
  [[nodiscard]] int gradient_exponent() const { return gradient_->exponent(); }
  /// Continues after `step` steps.
  void resume_at(std::int64_t step, const Judge::State& judge, int gradient_exponent);

 private:
  struct Factors {
    double learning_rate = 0.0;
    double loss_scale = 1.0;
  };
  struct Gradient {
    StepSums sums;               ///< summed over all ranks
    std::optional<double> norm;  ///< without the loss scale; there if it must be known before the update
    std::int64_t recomputed = 0;
  };
  Gradient sum_gradient(const ReplicaSamples::Step& samples, const Requests& mine, double loss_scale);
  void compute_gradient(const ReplicaSamples::Step& samples, float gradient_scale, StepSums sums);
  [[nodiscard]] double learning_rate() const;
  double update_weights(const Factors& factors, std::optional<double> norm, bool with_weight_norms);

  const config::RunConfig* config_;
  const comm::Grid* grid_;
  std::int64_t total_steps_;
  std::int64_t steps_done_ = 0;
  ReplicaSamples samples_;
  StepObserver observer_;
  std::unique_ptr<StageWork> work_;
  std::unique_ptr<GradientSum> gradient_;
  Judge judge_;
  WeightUpdate update_;
};

}  // namespace fcmnist::train
