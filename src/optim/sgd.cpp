#include "optim/sgd.hpp"

#include <fmt/format.h>

#include <limits>

#include "core/error.hpp"

namespace fcmnist::optim {

double clip_scale(double norm, double max_norm) {
  if (max_norm <= 0.0) return 1.0;
  const double scale = max_norm / (norm + 1e-6);
  return scale < 1.0 ? scale : 1.0;
}

void sgd_update(const OptimizerOptions& options, const SgdStep& step, std::span<const float> gradient,
                std::span<float> weights, std::span<float> momentum_buffer) {
  FCMNIST_CHECK(gradient.size() == weights.size() && momentum_buffer.size() == weights.size(),
                fmt::format("{} {} {}", gradient.size(), weights.size(), momentum_buffer.size()));
  // One loop for all variants: it waits for memory, not for arithmetic, so unused terms are free.
  const auto limit = options.max_gradient_value > 0.0 ? static_cast<float>(options.max_gradient_value)
                                                      : std::numeric_limits<float>::infinity();
  const auto scale = static_cast<float>(step.gradient_scale);
  const auto decay = static_cast<float>(options.weight_decay_rate);
  const auto mu = static_cast<float>(options.momentum);
  const auto lr = static_cast<float>(step.learning_rate);
  const float from_gradient = options.use_nesterov ? 1.0F : 0.0F;
  const float from_momentum = options.use_nesterov ? mu : 1.0F;
  const float* __restrict gradients = gradient.data();
  float* __restrict w = weights.data();
  float* __restrict m = momentum_buffer.data();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    float g = gradients[i] * scale;
    g = g > limit ? limit : g;
    g = g < -limit ? -limit : g;
    g += decay * w[i];
    m[i] = mu * m[i] + g;
    w[i] -= lr * (from_gradient * g + from_momentum * m[i]);
  }
}

}  // namespace fcmnist::optim
