#pragma once

#include <array>
#include <cmath>
#include <string_view>

#include "optim/options.hpp"
#include "optim/rules.hpp"
#include "optim/update.hpp"

namespace fcmnist::optim {

// Rules of two phases, which need 2-norms of a whole array before they may change one of its weights. Such a rule is
// a struct as in optim/rules.hpp, with two functions more, and a two_phase_row in the table:
//   direction()    the first phase of one number: updates the state that does not need the norms, and returns the
//                  number whose squares are added. Not stored: the second phase, the call operator, has it from the
//                  state or the gradient again
//   trust_ratio()  of the norms of weights and direction, neither of them 0. The call operator has it from
//                  UpdateStep::trust_ratio

/// Sgd in which each array has a learning rate of its own, by the norms of its weights and its gradient:
///   ratio = trust_coefficient * ||w|| / (||gradient|| + weight_decay_rate * ||w|| + eps)
///   Sgd with g = ratio * (gradient + weight_decay_rate * w)
/// As in the paper, the ratio is a factor on what the momentum adds up. The learning rate is such a factor too in
/// the paper; here it is applied last, as in Sgd, so that a schedule acts at once. While it is constant, both are
/// the same. The paper has no eps and no Nesterov.
/// Source: You, Gitman, Ginsburg, arXiv 1708.03888, algorithm 1.
struct Lars {
  static constexpr auto state_arrays = Sgd::state_arrays;

  Lars(const OptimizerOptions& options, const UpdateStep& step)
      : sgd(options, step), ratio(static_cast<float>(step.trust_ratio)) {
    sgd.decay = static_cast<float>(step.trust_ratio * step.weight_decay);
  }

  float direction(float gradient, float /*weight*/, float& /*momentum_buffer*/) const { return gradient; }
  static double trust_ratio(const OptimizerOptions& options, double weight_norm, double gradient_norm) {
    const double decayed = gradient_norm + options.weight_decay_rate * weight_norm;
    return options.trust_coefficient.value_or(1e-3) * weight_norm / (decayed + options.eps.value_or(1e-8));
  }
  void operator()(float gradient, float& weight, float& momentum_buffer) const {
    sgd(ratio * gradient, weight, momentum_buffer);
  }

  Sgd sgd;
  float ratio;
};

/// AdamW whose update of an array is as large as the array itself, times the learning rate:
///   m, v = Moments
///   r = m / c1 / (sqrt(v / c2) + eps) + weight_decay_rate * w    c1, c2 as in Adam; 1 without correct_bias
///   ratio = ||w|| / ||r||
///   w = w - learning_rate * ratio * r
/// Source: You et al., ICLR 2020, algorithm 2, where phi(x) = x.
struct Lamb {
  static constexpr std::array<std::string_view, 2> state_arrays = {"exp_avg", "exp_avg_sq"};

  Lamb(const OptimizerOptions& options, const UpdateStep& step) : moments(options) {
    const bool corrects = options.correct_bias;
    average = static_cast<float>(corrects ? 1.0 / bias_correction(moments.beta1, step) : 1.0);
    root = static_cast<float>(corrects ? 1.0 / std::sqrt(bias_correction(moments.beta2, step)) : 1.0);
    eps = static_cast<float>(options.eps.value_or(1e-6));
    decay = static_cast<float>(step.weight_decay);
    rate = static_cast<float>(step.learning_rate * step.trust_ratio);
  }

  float direction(float gradient, float weight, float& m, float& v) const {
    moments.update(gradient, m, v);
    return direction_of(weight, m, v);
  }
  static double trust_ratio(const OptimizerOptions& /*options*/, double weight_norm, double direction_norm) {
    return weight_norm / direction_norm;
  }
  void operator()(float /*gradient*/, float& weight, float m, float v) const {
    weight -= rate * direction_of(weight, m, v);
  }
  [[nodiscard]] float direction_of(float weight, float m, float v) const {
    return average * m / (std::sqrt(v) * root + eps) + decay * weight;
  }

  Moments moments;
  float average, root, eps, decay, rate;
};

}  // namespace fcmnist::optim
