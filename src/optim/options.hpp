#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fcmnist::optim {

enum class ScheduleKind { constant, linear, polynomial, cosine };

/// One piece of the learning rate schedule; pieces run one after the other.
struct SchedulePiece {
  ScheduleKind kind = ScheduleKind::constant;
  double initial_learning_rate = 0.1;
  double end_learning_rate = 0.0;
  double power = 1.0;  ///< of a polynomial piece
  long steps = 0;      ///< length in steps; 0 = until the end of training (last piece only)
  bool operator==(const SchedulePiece&) const = default;
};

/// See LossScale.
struct LossScaleOptions {
  static constexpr double dynamic = 0.0;
  /// A number, or `dynamic`, to which the options below belong. When not given, a resume takes all of them
  /// from its checkpoint, and a new run has the factor 1.
  std::optional<double> factor;
  double initial = 0x1p15;
  long steps_per_increase = 2000;
  double min = 0x1p-14;
  double max = 0x1p15;

  bool operator==(const LossScaleOptions&) const = default;
};

/// The rules of optim/rules.hpp.
enum class OptimizerType { sgd };

struct OptimizerOptions {
  OptimizerType type = OptimizerType::sgd;
  std::vector<SchedulePiece> learning_rate = {SchedulePiece{}};
  double momentum = 0.0;
  bool use_nesterov = false;
  double weight_decay_rate = 0.0;
  double max_gradient_norm = 0.0;   ///< > 0: scale the gradient so that its 2-norm is at most this
  double max_gradient_value = 0.0;  ///< > 0: clamp every component of the gradient to [-this, this]
  int grad_accum_steps = 1;         ///< batches whose mean gradient makes one step
  LossScaleOptions loss_scale;

  bool operator==(const OptimizerOptions&) const = default;
};

}  // namespace fcmnist::optim
