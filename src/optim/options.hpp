#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fcmnist::optim {

enum class ScheduleKind {
  constant,
  linear,
  polynomial,
  exponential,
  inverse_exponential_time_decay,
  inverse_square_root_decay,
  piecewise_constant,
  step,
  multi_step,
  multiplicative,
  cosine,
  cosine_annealing,
  cosine_annealing_warm_restarts,
  cyclic,
  one_cycle,
};

enum class CyclicMode { triangular, triangular2, exp_range };
enum class AnnealStrategy { cos, linear };

/// One piece of the learning rate schedule; pieces run one after the other. What each kind computes of its numbers
/// stands in optim/schedule.hpp.
struct SchedulePiece {
  ScheduleKind kind = ScheduleKind::constant;
  double initial_learning_rate = 0.1;
  double end_learning_rate = 0.0;
  double power = 1.0;
  long steps = 0;  ///< length in steps; 0 = until the end of training (last piece only)
  long period = 0;
  double factor = 1.0;
  double max_learning_rate = 0.0;
  long warmup_steps = 1;
  long period_factor = 1;
  long steps_down = 0;  ///< 0: as many as up
  double pct_start = 0.3;
  double final_div_factor = 1e4;
  bool staircase = false;
  bool three_phase = false;
  CyclicMode mode = CyclicMode::triangular;
  AnnealStrategy anneal_strategy = AnnealStrategy::cos;
  std::vector<double> learning_rates = {};
  std::vector<long> milestones = {};  ///< steps of the piece

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

/// The rules of optim/rules.hpp and optim/two_phase_rules.hpp.
enum class OptimizerType {
  sgd,
  adam,
  adamw,
  adamax,
  nadam,
  radam,
  rmsprop,
  rprop,
  adagrad,
  adadelta,
  asgd,
  lion,
  lars,
  lamb,
};

/// How the learning rate follows the batch: times batch / base_batch_size (Goyal et al., arXiv 1706.02677), or the root of that
/// (Krizhevsky, arXiv 1404.5997).
enum class RateScaling { none, linear, sqrt };

struct OptimizerOptions {
  OptimizerType type = OptimizerType::sgd;
  std::vector<SchedulePiece> learning_rate = {SchedulePiece{}};
  RateScaling lr_scaling = RateScaling::none;
  int base_batch_size = 128;  ///< samples of the step that the learning rate is meant for
  double momentum = 0.0;
  bool use_nesterov = false;
  double weight_decay_rate = 0.0;
  /// Above 0: the 2-norm that the weights of a unit's inputs have at most; see limit_rows().
  double max_weight_norm = 0.0;
  /// Arrays whose names have one of these words in them do not decay, and their trust ratio (Lars, Lamb) is 1. When
  /// not given: biases, of Adam and AdamW, as in the reference, and of Lars and Lamb; none of the other rules.
  std::optional<std::vector<std::string>> exclude_from_weight_decay;

  // What belongs to some of the rules. Those that are not given have the value that the rule names.
  std::optional<double> beta1, beta2, eps, alpha, rho, momentum_decay, lr_decay, initial_accumulator_value,
      lambd, t0, eta1, eta2, step_size_min, step_size_max, trust_coefficient;
  bool amsgrad = false;
  bool correct_bias = true;
  bool centered = false;

  double max_gradient_norm = 0.0;   ///< > 0: scale the gradient so that its 2-norm is at most this
  double max_gradient_value = 0.0;  ///< > 0: clamp every component of the gradient to [-this, this]
  int grad_accum_steps = 1;         ///< batches whose mean gradient makes one step
  /// > 0: an average of the weights is kept beside them; see average_share() in optim/update.hpp.
  double average_decay = 0.0;
  long average_from_step = 0;  ///< steps before the average begins
  LossScaleOptions loss_scale;

  bool operator==(const OptimizerOptions&) const = default;
};

}  // namespace fcmnist::optim
