#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/grid.hpp"
#include "comm/stage_link.hpp"
#include "config/run_config.hpp"
#include "core/arena.hpp"
#include "data/dataset.hpp"
#include "data/epoch_order.hpp"
#include "data/epoch_plan.hpp"
#include "model/mlp.hpp"
#include "optim/loss_scale.hpp"
#include "train/gradient_sum.hpp"
#include "train/microbatches.hpp"
#include "train/model_state.hpp"
#include "train/step_time.hpp"

namespace fcmnist::train {

/// The parts in which backward finishes the gradient of a stage, and their ranges. Between nodes a part has
/// about 65,536 numbers, so that it travels while the rest is computed; within a node there is nothing to
/// hide, and a layer is one part, since short GEMMs are slower. So it is in any world for the same bits in
/// all.
///   nodes  that have ranks of the stage
std::vector<model::GradientPart> gradient_parts(const model::Mlp& mlp, int nodes, bool reproducible);
std::vector<Range> ranges_of(std::span<const model::GradientPart> parts);

/// What a rank asks for at a step boundary. Requests travel with the step's gradient, so that all ranks know
/// them after the same step.
struct Requests {
  bool stop = false;     ///< save and end the run
  bool save = false;     ///< save
  bool give_up = false;  ///< files cannot be written: end the run
};

/// What one step did; the same on every rank, but for the time split.
struct StepResult {
  std::int64_t step = 0;   ///< steps done, this one included
  std::int64_t epoch = 0;  ///< that the step belongs to, from 0
  std::size_t samples = 0;
  double loss = 0.0;      ///< mean over the step's samples, before the update
  double accuracy = 0.0;  ///< same
  double learning_rate = 0.0;
  double gradient_norm = 0.0;   ///< before clipping
  double loss_scale = 1.0;      ///< of this step; see optim::LossScale
  bool skipped = false;         ///< loss or gradient was not finite, so the weights were left as they are
  std::int64_t recomputed = 0;  ///< how often the gradient was computed again; see GradientSum::repeat_for()
  Requests requests;            ///< of any rank
  TimeSplit time;               ///< of this rank
  PipelineTime pipeline;        ///< of this rank's replica
};

/// One stage of one replica of the model, and its share of every step.
class Trainer {
 public:
  /// Collective. All arguments must outlive it. `mlp` has the layers of this rank's stage; `total_steps` is
  /// the length of training, for the learning rate.
  Trainer(const config::RunConfig& config, const comm::Grid& grid, const data::Dataset& dataset,
          const data::EpochPlan& plan, const model::Mlp& mlp, ModelState& state, std::int64_t total_steps,
          bool give_way);

  /// One optimizer step. Collective. Throws DivergedError on all ranks when the loss is not finite, before
  /// any weight has changed, or when the gradient is not. With NanPolicy::skip such a step changes nothing,
  /// and only the last of most_skipped_in_a_row is an error. A gradient that a smaller loss scale may make
  /// finite is no error: the step changes nothing but the scale.
  StepResult step(const Requests& mine = {});
  static constexpr std::int64_t most_skipped_in_a_row = 100;

  [[nodiscard]] std::int64_t steps_done() const { return steps_done_; }
  [[nodiscard]] std::int64_t skipped_in_a_row() const { return skipped_in_a_row_; }
  /// See GradientSum::exponent().
  [[nodiscard]] int gradient_exponent() const { return gradient_->exponent(); }
  [[nodiscard]] optim::LossScale::State loss_scale() const { return loss_scale_.state(); }
  /// Continues after `step` steps.
  void resume_at(std::int64_t step, std::int64_t skipped_in_a_row, int gradient_exponent,
                 const optim::LossScale::State& loss_scale = {}) {
    steps_done_ = step;
    skipped_in_a_row_ = skipped_in_a_row;
    gradient_->set_exponent(gradient_exponent);
    loss_scale_.set_state(loss_scale);
  }

 private:
  struct Sums;   // of the samples of a step
  struct Clock;  // of a step
  struct Microbatch;
  /// What a microbatch needs between its forward and its backward.
  struct InFlight {
    InFlight(const model::Mlp& mlp, std::size_t max_samples)
        : workspace(model::make_workspace(mlp, max_samples)), labels(max_samples) {}
    model::AnyWorkspace workspace;
    std::vector<std::uint8_t> labels;
  };
  struct Summed {
    std::span<const double> small;  ///< Sums of all ranks
    std::optional<double> norm;     ///< of the gradient, unscaled, if it must be known before the update
    std::int64_t recomputed = 0;
  };
  Summed sum_gradient(const data::StepSamples& samples, const Requests& mine, Clock& clock);
  void compute_gradient(const data::StepSamples& samples, Sums& sums, Clock& clock);
  template <class T>
  void forward(const Microbatch& microbatch, model::BasicWorkspace<T>& workspace,
               const data::StepSamples& samples, Sums& sums, Clock& clock);
  template <class T>
  void backward(const Microbatch& microbatch, model::BasicWorkspace<T>& workspace, Sums& sums, Clock& clock);
  bool overflowed(double gradient_norm);
  /// That may be too large where a number is not finite.
  struct Factors {
    double learning_rate = 0.0;
    double loss_scale = 1.0;
  };
  bool must_skip(const char* what, double value, const Factors& factors);
  [[noreturn]] void diverged(const std::string& what, const Factors& factors) const;
  double update(double learning_rate, std::optional<double> norm, Clock& clock);
  double gather_norm(Clock& clock);
  double norm_over_stages(Clock& clock);

  const config::RunConfig* config_;
  const comm::Grid* grid_;
  const data::Dataset* dataset_;
  const data::EpochPlan* plan_;
  const model::Mlp* mlp_;
  ModelState* state_;
  std::int64_t total_steps_;
  std::int64_t steps_done_ = 0;
  std::int64_t skipped_in_a_row_ = 0;
  optim::LossScale loss_scale_;

  data::EpochOrder order_;
  Microbatches microbatches_;
  std::vector<model::GradientPart> parts_;
  std::unique_ptr<GradientSum> gradient_;
  bool needs_norm_;          ///< before the update
  std::size_t max_samples_;  ///< of a microbatch
  std::vector<InFlight> in_flight_;
  comm::StageLink link_;
  std::vector<double> over_stages_;  ///< see norm_over_stages()
};

}  // namespace fcmnist::train
