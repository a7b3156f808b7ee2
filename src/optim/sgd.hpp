#pragma once

#include <span>

#include "core/half.hpp"
#include "optim/options.hpp"

namespace fcmnist::optim {

/// The numbers of one step's update, the same on every rank.
struct SgdStep {
  double learning_rate = 0.0;
  double gradient_scale = 1.0;  ///< see clip_scale
};

/// Factor on the gradient that brings its 2-norm down to `max_norm`, at most 1: max_norm / (norm + 1e-6), as
/// torch.nn.utils.clip_grad_norm_. 1 when max_norm is 0 (no clipping).
double clip_scale(double norm, double max_norm);

/// Stochastic gradient descent with momentum on one block of weights, as torch.optim.SGD:
///   gradient = sources[0] + sources[1] + ..., added in that order
///   g = clamp(gradient * scale, max_gradient_value) + weight_decay_rate * w
///   m = momentum * m + g
///   w = w - learning_rate * (use_nesterov ? g + momentum * m : m)
///   sources                   pointers to n numbers each, at least one: their sum is the mean over
///                             the global batch
///   weights, momentum_buffer  (n) read and written; momentum_buffer is 0 before the first step
/// Returns the sum of gradient^2. The gradient itself is not stored: summing and updating are one pass, since
/// both wait for memory.
/// Source: Sutskever, Martens, Dahl, Hinton, ICML 2013 (in PyTorch's form: the learning rate is applied
/// last).
double sgd_update(const OptimizerOptions& options, const SgdStep& step, std::span<const float* const> sources,
                  std::span<float> weights, std::span<float> momentum_buffer);

/// The same on master weights, which are then rounded to the working weights.
///   working  (n) written
double sgd_update(const OptimizerOptions& options, const SgdStep& step, std::span<const float* const> sources,
                  std::span<float> weights, std::span<float> momentum_buffer, std::span<BFloat16> working);
double sgd_update(const OptimizerOptions& options, const SgdStep& step, std::span<const float* const> sources,
                  std::span<float> weights, std::span<float> momentum_buffer, std::span<Float16> working);

}  // namespace fcmnist::optim
