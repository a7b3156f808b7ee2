#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "optim/options.hpp"

namespace fcmnist::optim {

/// The numbers of one step's update, the same on every rank.
struct UpdateStep {
  double learning_rate = 0.0;
  double gradient_scale = 1.0;  ///< see clip_scale
  std::int64_t number = 1;      ///< of the step, from 1; steps that were skipped count
  double weight_decay = 0.0;    ///< of the array; see weight_decay_of()
};

/// The weight decay of an array of this name: options.weight_decay_rate, or 0 if it is left out.
double weight_decay_of(const OptimizerOptions& options, std::string_view array);

/// Factor on the gradient that brings its 2-norm down to `max_norm`, at most 1: max_norm / (norm + 1e-6), as
/// torch.nn.utils.clip_grad_norm_. 1 when max_norm is 0 (no clipping).
double clip_scale(double norm, double max_norm);

/// Names of the state arrays of the optimizer's rule (optim/rules.hpp), as checkpoints name them. Each has
/// the layout of the weights, and is 0 before the first step.
std::span<const std::string_view> state_arrays(const OptimizerOptions& options);

/// Updates one block of weights by the optimizer's rule:
///   gradient = sources[0] + sources[1] + ..., added in that order
///   g        = clamp(gradient * gradient_scale, max_gradient_value)
///   rule(g, weight, state...) for each number
///   sources  pointers to n numbers each, at least one: their sum is the mean over the global batch
///   weights  (n) read and written
///   state    (n) each, one for each of state_arrays(), read and written
/// Returns the sum of gradient^2. The gradient itself is not stored: summing and updating are one pass, since
/// both wait for memory.
double update_weights(const OptimizerOptions& options, const UpdateStep& step,
                      std::span<const float* const> sources, std::span<float> weights,
                      std::span<const std::span<float>> state);

}  // namespace fcmnist::optim
