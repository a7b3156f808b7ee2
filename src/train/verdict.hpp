#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "config/run_config.hpp"
#include "core/arena.hpp"
#include "core/error.hpp"
#include "optim/loss_scale.hpp"

namespace fcmnist::train {

/// What follows from the loss and the gradient of a step.
enum class Verdict {
  update,              ///< the weights are updated
  skip,                ///< a number is not finite: the weights are left as they are
  smaller_loss_scale,  ///< the gradient has overflowed: the same, and the next step has a smaller scale
};

/// Passes the verdict on each step. The numbers that it is told are the same on every rank, so all ranks come
/// to the same verdict, or throw the same error.
class Judge {
 public:
  /// Steps in a row that may be skipped, the last of which is an error.
  static constexpr std::int64_t most_skipped_in_a_row = 100;

  explicit Judge(const config::RunConfig& config);

  /// `step`: number of the step, from 1. Throws DivergedError if the loss is not finite and must be.
  Verdict judge_loss(std::int64_t step, double loss, double learning_rate);
  /// `norm`: of the gradient, unscaled. Throws DivergedError if it is not finite and must be. Of a gradient
  /// that a smaller loss scale may make finite nothing must be.
  Verdict judge_gradient(std::int64_t step, double norm, double learning_rate);

  /// The factor on the loss of the next step.
  [[nodiscard]] double loss_scale() const { return loss_scale_.value(); }

  /// What a checkpoint holds of it.
  struct State {
    std::int64_t skipped_in_a_row = 0;
    optim::LossScale::State loss_scale;
  };
  [[nodiscard]] State state() const { return {skipped_in_a_row_, loss_scale_.state()}; }
  void set_state(const State& state);

 private:
  void must_be_allowed_to_skip(const char* what, double value, std::int64_t step, double learning_rate,
                               double loss_scale) const;

  config::NanPolicy policy_;
  optim::LossScale loss_scale_;
  std::int64_t skipped_in_a_row_ = 0;
};

/// Whether the norm of the whole gradient must be known before any weight is updated: for clipping, for steps
/// that may be skipped, for a dynamic loss scale, for sums in fixed point, and for optimizers of two phases,
/// which read the sum of the gradients twice. Otherwise gradients are summed while weights are updated.
bool needs_norm_first(const config::RunConfig& config);

/// The error of training that has diverged: `what` was found, and a HINT that names the learning rate if it
/// is known.
///   loss_scale  of a gradient that is not finite though the loss is: a large one may be the reason
DivergedError diverged_error(std::string_view what, std::optional<double> learning_rate = std::nullopt,
                             double loss_scale = 1.0);

/// Throws DivergedError, with the name of the slot, if a weight after `step` steps is not finite.
void check_finite(ArenaView<const float> weights, std::int64_t step);

}  // namespace fcmnist::train
