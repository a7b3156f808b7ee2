#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "optim/options.hpp"

namespace fcmnist::optim {

/// The numbers of one step's update, the same on every rank.
struct UpdateStep {
  double learning_rate = 0.0;
  double gradient_scale = 1.0;  ///< see clip_scale
  std::int64_t number = 1;      ///< of the step, from 1; steps that were skipped count
  double weight_decay = 0.0;    ///< of the array; see weight_decay_of()
  double trust_ratio = 1.0;     ///< of the array; see trust_ratio()
  /// Numbers of a row of the array, whose 2-norm max_weight_norm bounds; 0: of an array without such a bound. Blocks are
  /// whole rows then.
  std::size_t row = 0;
};

/// The weight decay of an array of this name: options.weight_decay_rate, or 0 if it is left out.
double weight_decay_of(const OptimizerOptions& options, std::string_view array);

/// Factor on the gradient that brings its 2-norm down to `max_norm`, at most 1: max_norm / (norm + 1e-6), as
/// torch.nn.utils.clip_grad_norm_. 1 when max_norm is 0 (no clipping).
double clip_scale(double norm, double max_norm);

/// Whether an average of the weights is kept beside them.
bool keeps_average(const OptimizerOptions& options);
/// The name of this average in checkpoints. It is one of the state arrays.
inline constexpr std::string_view weight_average = "weight_average";

/// Names of the state arrays, as checkpoints name them: those of the optimizer's rule (optim/rules.hpp), and last the
/// average of the weights, if it is kept. Each has the layout of the weights, and is 0 before the first step; the average is
/// the weights.
std::vector<std::string_view> state_arrays(const OptimizerOptions& options);

/// What a step contributes to the average of the weights:
///   average = (1 - share) * average + share * weights, after the update
///   share   = max(1 / n, 1 - average_decay), n the number of the step from average_from_step on, from 1; 1 before
/// So it is the mean of all weights while they are fewer than 1 / (1 - average_decay), and then an exponential moving
/// average, which needs no correction of its beginning. With average_decay 1 it stays their mean.
/// Sources: Polyak and Juditsky 1992; Izmailov et al., arXiv 1803.05407 (SWA).
double average_share(const OptimizerOptions& options, std::int64_t step_number);

/// Whether the optimizer's rule has two phases: it needs 2-norms of a whole array before it may change one of its
/// weights. Then prepare_update() of all blocks of the array goes before update_weights(). The norms are the roots
/// of the squares that it returns, added over the blocks; trust_ratio() makes a number of them, for UpdateStep.
bool has_two_phases(const OptimizerOptions& options);

/// Sums of squares over a block.
struct BlockSquares {
  double weights = 0.0;
  double direction = 0.0;  ///< of Lars the gradient, of Lamb r; see optim/two_phase_rules.hpp
};

/// The first phase of one block: updates the state that does not need the norms. The weights stay as they are.
///   gradient  (n) the sum of the sources that update_weights() gets in the second phase
///   weights   (n)
///   state     (n) each, one for each of state_arrays(), read and written
/// Not for a rule of one phase.
BlockSquares prepare_update(const OptimizerOptions& options, const UpdateStep& step,
                            std::span<const float> gradient, std::span<const float> weights,
                            std::span<const std::span<float>> state);

/// The trust ratio of an array of this name: the rule's factor on its update, from its 2-norms. 1 if one of them
/// is 0, so that weights that begin with 0 learn; and if the array is left out of weight decay, as is usual for
/// biases, whose norms say nothing about the size of a good step. Not for a rule of one phase.
double trust_ratio(const OptimizerOptions& options, std::string_view array, double weight_norm,
                   double direction_norm);

/// Scales down each row, of `row` numbers, whose 2-norm is larger than `most`. After each update it keeps the weights of the
/// inputs of each unit in a ball, as in Srivastava et al., JMLR 15 (2014), section 5.1; torch.renorm(w, 2, 0, most).
void limit_rows(std::span<float> weights, std::size_t row, double most);

/// Updates one block of weights by the optimizer's rule, of two phases in the second one:
///   gradient = sources[0] + sources[1] + ..., added in that order
///   g        = clamp(gradient * gradient_scale, max_gradient_value)
///   rule(g, weight, state...) for each number, then limit_rows() with max_weight_norm, and then the average of the
///   weights, if it is kept
///   sources  pointers to n numbers each, at least one: their sum is the mean over the global batch
///   weights  (n) read and written
///   state    (n) each, one for each of state_arrays(), read and written
/// Returns the sum of gradient^2. The gradient itself is not stored: summing and updating are one pass, since
/// both wait for memory.
double update_weights(const OptimizerOptions& options, const UpdateStep& step,
                      std::span<const float* const> sources, std::span<float> weights,
                      std::span<const std::span<float>> state);

}  // namespace fcmnist::optim
