#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "optim/options.hpp"
#include "optim/update.hpp"

namespace fcmnist::optim {

// The element-wise rules. A rule is a struct with
//   state_arrays  the names of its state arrays, as PyTorch and checkpoints name them
//   a constructor that takes what is constant in a step out of the options, in double
//   a call operator that updates one weight, and its number in each state array, by its gradient
// and a row in the table of optim/update.cpp. The call is inlined into a loop of vector code: no branches. What is not written as
// std::fma is rounded twice, so that a number has the same bits wherever a block ends. State is 0 before the first step. In the comments t is the number of the step, from 1, and g the gradient:
//   g = gradient + weight_decay_rate * w     ("with decay")
//
// Where torch.optim has a rule of that name, this is its form (release 1.13). Rules that need norms of
// whole arrays are in optim/two_phase_rules.hpp.

/// The names of a rule's arrays, and one more if its variant keeps it.
template <bool has_more, std::size_t n>
constexpr auto arrays_of_variant(std::array<std::string_view, n> names, std::string_view more) {
  std::array<std::string_view, n + (has_more ? 1 : 0)> all;
  std::copy(names.begin(), names.end(), all.begin());
  if constexpr (has_more) all.back() = more;
  return all;
}

/// -1, 0 or 1.
inline float sign_of(float x) { return static_cast<float>(x > 0.0F) - static_cast<float>(x < 0.0F); }

/// 1 - beta^t: what an average of t numbers that began with 0 has to be divided by.
inline double bias_correction(double beta, const UpdateStep& step) {
  return 1.0 - std::pow(beta, static_cast<double>(step.number));
}

/// Stochastic gradient descent with momentum, as torch.optim.SGD, g with decay:
///   m = momentum * m + g
///   w = w - learning_rate * (use_nesterov ? g + momentum * m : m)
/// Source: Sutskever, Martens, Dahl, Hinton, ICML 2013 (in PyTorch's form: the learning rate is applied
/// last).
struct Sgd {
  static constexpr std::array<std::string_view, 1> state_arrays = {"momentum_buffer"};

  Sgd(const OptimizerOptions& options, const UpdateStep& step)
      : decay(static_cast<float>(step.weight_decay)),
        momentum(static_cast<float>(options.momentum)),
        learning_rate(static_cast<float>(step.learning_rate)),
        from_gradient(options.use_nesterov ? 1.0F : 0.0F),
        from_momentum(options.use_nesterov ? momentum : 1.0F) {}

  void operator()(float gradient, float& weight, float& momentum_buffer) const {
    const float g = std::fma(decay, weight, gradient);
    momentum_buffer = std::fma(momentum, momentum_buffer, g);
    weight = std::fma(-learning_rate, std::fma(from_gradient, g, from_momentum * momentum_buffer), weight);
  }

  float decay, momentum, learning_rate, from_gradient, from_momentum;
};

/// Averages of the gradient and of its square, as many rules keep them:
///   m = beta1 * m + (1 - beta1) * g
///   v = beta2 * v + (1 - beta2) * g^2
struct Moments {
  Moments(double beta1_, double beta2_)
      : beta1(beta1_),
        beta2(beta2_),
        keep1(static_cast<float>(beta1)),
        take1(static_cast<float>(1.0 - beta1)),
        keep2(static_cast<float>(beta2)),
        take2(static_cast<float>(1.0 - beta2)) {}
  /// Of the options, with Adam's usual values.
  explicit Moments(const OptimizerOptions& options)
      : Moments(options.beta1.value_or(0.9), options.beta2.value_or(0.999)) {}

  void update(float g, float& m, float& v) const {
    m = std::fma(keep1, m, take1 * g);
    v = std::fma(keep2, v, take2 * g * g);
  }

  double beta1, beta2;
  float keep1, take1, keep2, take2;
};

/// Adam and AdamW, as torch.optim, g with decay in Adam:
///   w = w - learning_rate * weight_decay_rate * w                  in AdamW
///   m, v = Moments
///   w = w - learning_rate / c1 * m / (sqrt(v) / sqrt(c2) + eps)    c1, c2 the bias corrections; 1 without correct_bias
/// With `amsgrad` the largest v of all steps takes the place of v.
/// Source: Kingma, Ba, ICLR 2015; Loshchilov, Hutter, ICLR 2019; Reddi, Kale, Kumar, ICLR 2018.
template <bool amsgrad>
struct Adam {
  static constexpr auto state_arrays =
      arrays_of_variant<amsgrad, 2>({"exp_avg", "exp_avg_sq"}, "max_exp_avg_sq");

  Adam(const OptimizerOptions& options, const UpdateStep& step) : moments(options) {
    const bool decoupled = options.type == OptimizerType::adamw;
    const bool corrects = options.correct_bias;
    const double c1 = corrects ? bias_correction(moments.beta1, step) : 1.0;
    const double c2 = corrects ? bias_correction(moments.beta2, step) : 1.0;
    decay = static_cast<float>(decoupled ? 0.0 : step.weight_decay);
    shrink = static_cast<float>(decoupled ? 1.0 - step.learning_rate * step.weight_decay : 1.0);
    rate = static_cast<float>(step.learning_rate / c1);
    root = static_cast<float>(1.0 / std::sqrt(c2));
    eps = static_cast<float>(options.eps.value_or(1e-8));
  }

  void operator()(float gradient, float& weight, float& m, float& v) const {
    moments.update(gradient + decay * weight, m, v);
    descend(weight, m, v);
  }
  void operator()(float gradient, float& weight, float& m, float& v, float& largest_v) const {
    moments.update(gradient + decay * weight, m, v);
    largest_v = v > largest_v ? v : largest_v;
    descend(weight, m, largest_v);
  }
  void descend(float& weight, float m, float v) const {
    weight = shrink * weight - rate * (m / (std::sqrt(v) * root + eps));
  }

  Moments moments;
  float decay, shrink, rate, root, eps;
};

/// As torch.optim.Adamax, g with decay:
///   m = beta1 * m + (1 - beta1) * g
///   u = max(beta2 * u, |g| + eps)
///   w = w - learning_rate / c1 * m / u
/// Source: Kingma, Ba, ICLR 2015, section 7.1.
struct Adamax {
  static constexpr std::array<std::string_view, 2> state_arrays = {"exp_avg", "exp_inf"};

  Adamax(const OptimizerOptions& options, const UpdateStep& step)
      : moments(options),
        decay(static_cast<float>(step.weight_decay)),
        rate(static_cast<float>(step.learning_rate / bias_correction(moments.beta1, step))),
        eps(static_cast<float>(options.eps.value_or(1e-8))) {}

  void operator()(float gradient, float& weight, float& m, float& u) const {
    const float g = gradient + decay * weight;
    m = moments.keep1 * m + moments.take1 * g;
    const float before = moments.keep2 * u, now = std::fabs(g) + eps;
    u = before > now ? before : now;
    weight -= rate * (m / u);
  }

  Moments moments;
  float decay, rate, eps;
};

/// Adam with Nesterov's momentum, as torch.optim.NAdam, g with decay:
///   mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
///   w = w - learning_rate * (1 - mu_t) / (1 - mu_1 ... mu_t) * g / (sqrt(v / c2) + eps)
///         - learning_rate * mu_(t+1) / (1 - mu_1 ... mu_(t+1)) * m / (sqrt(v / c2) + eps)
/// (PyTorch 1.13 has mu_t twice in the second product, by mistake; 2.0 has it so.)
/// Source: Dozat, ICLR 2016 workshop.
struct NAdam {
  static constexpr std::array<std::string_view, 2> state_arrays = {"exp_avg", "exp_avg_sq"};

  NAdam(const OptimizerOptions& options, const UpdateStep& step)
      : moments(options),
        decay(static_cast<float>(step.weight_decay)),
        root(static_cast<float>(1.0 / std::sqrt(bias_correction(moments.beta2, step)))),
        eps(static_cast<float>(options.eps.value_or(1e-8))) {
    const double slowness = options.momentum_decay.value_or(4e-3);
    const auto mu = [&](std::int64_t t) {
      return moments.beta1 * (1.0 - 0.5 * std::pow(0.96, static_cast<double>(t) * slowness));
    };
    // Far on the product is nothing beside 1. Until then it takes a few hundred factors.
    constexpr double nothing = 1e-20;
    double product = 1.0;
    for (std::int64_t t = 1; t <= step.number && product > nothing; ++t) product *= mu(t);
    const double now = mu(step.number), next = mu(step.number + 1);
    from_gradient = static_cast<float>(step.learning_rate * (1.0 - now) / (1.0 - product));
    from_average = static_cast<float>(step.learning_rate * next / (1.0 - product * next));
  }

  void operator()(float gradient, float& weight, float& m, float& v) const {
    const float g = gradient + decay * weight;
    moments.update(g, m, v);
    weight -= (from_gradient * g + from_average * m) / (std::sqrt(v) * root + eps);
  }

  Moments moments;
  float decay, root, eps, from_gradient, from_average;
};

/// Adam whose steps are smaller while v is an average of few numbers, as torch.optim.RAdam, g with decay:
///   rho_inf = 2 / (1 - beta2) - 1, rho = rho_inf - 2 t beta2^t / c2
///   rho > 5:  w = w - learning_rate * m / c1 * r * sqrt(c2) / (sqrt(v) + eps)
///             where r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
///   else      w = w - learning_rate * m / c1
/// Source: Liu et al., ICLR 2020.
struct RAdam {
  static constexpr std::array<std::string_view, 2> state_arrays = {"exp_avg", "exp_avg_sq"};

  RAdam(const OptimizerOptions& options, const UpdateStep& step)
      : moments(options),
        decay(static_cast<float>(step.weight_decay)),
        eps(static_cast<float>(options.eps.value_or(1e-8))) {
    const double c1 = bias_correction(moments.beta1, step), c2 = bias_correction(moments.beta2, step);
    const auto t = static_cast<double>(step.number);
    const double limit = 2.0 / (1.0 - moments.beta2) - 1.0;
    const double rho = limit - 2.0 * t * (1.0 - c2) / c2;
    const double rate = step.learning_rate / c1;
    const bool adapts = rho > 5.0;
    plain = static_cast<float>(adapts ? 0.0 : rate);
    adaptive = 0.0F;
    if (adapts) {
      const double r = std::sqrt((rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho));
      adaptive = static_cast<float>(rate * r * std::sqrt(c2));
    }
  }

  void operator()(float gradient, float& weight, float& m, float& v) const {
    moments.update(gradient + decay * weight, m, v);
    weight -= m * (plain + adaptive / (std::sqrt(v) + eps));
  }

  Moments moments;
  float decay, eps, plain, adaptive;
};

/// As torch.optim.RMSprop, g with decay:
///   v = alpha * v + (1 - alpha) * g^2
///   a = alpha * a + (1 - alpha) * g                       if centered, else a = 0
///   b = momentum * b + g / (sqrt(v - a^2) + eps)
///   w = w - learning_rate * b
/// Source: Tieleman, Hinton, 2012; centered: Graves, arXiv 1308.0850.
template <bool centered>
struct RmsProp {
  static constexpr auto state_arrays =
      arrays_of_variant<centered, 2>({"square_avg", "momentum_buffer"}, "grad_avg");

  RmsProp(const OptimizerOptions& options, const UpdateStep& step)
      : moments(options.alpha.value_or(0.99), options.alpha.value_or(0.99)),
        decay(static_cast<float>(step.weight_decay)),
        momentum(static_cast<float>(options.momentum)),
        rate(static_cast<float>(step.learning_rate)),
        eps(static_cast<float>(options.eps.value_or(1e-8))) {}

  void operator()(float gradient, float& weight, float& v, float& b) const {
    float unused = 0.0F;
    const float g = gradient + decay * weight;
    moments.update(g, unused, v);
    descend(weight, g / (std::sqrt(v) + eps), b);
  }
  void operator()(float gradient, float& weight, float& v, float& b, float& a) const {
    const float g = gradient + decay * weight;
    moments.update(g, a, v);
    const float variance = v - a * a;  // below 0 by rounding only
    descend(weight, g / (std::sqrt(variance > 0.0F ? variance : 0.0F) + eps), b);
  }
  void descend(float& weight, float direction, float& b) const {
    b = momentum * b + direction;
    weight -= rate * b;
  }

  Moments moments;
  float decay, momentum, rate, eps;
};

/// Steps that grow while the gradient keeps its sign, as torch.optim.Rprop, without decay:
///   s = clamp(s * (g * g_before > 0 ? eta2 : g * g_before < 0 ? eta1 : 1), step_size_min, step_size_max)
///   g = 0 if g * g_before < 0
///   w = w - sign(g) * s
/// where s is the learning rate before the first step.
/// Source: Riedmiller, Braun, ICNN 1993.
struct Rprop {
  static constexpr std::array<std::string_view, 2> state_arrays = {"prev", "step_size"};

  Rprop(const OptimizerOptions& options, const UpdateStep& step)
      : first(step.number == 1 ? static_cast<float>(step.learning_rate) : 0.0F),
        smaller(static_cast<float>(options.eta1.value_or(0.5))),
        larger(static_cast<float>(options.eta2.value_or(1.2))),
        least(static_cast<float>(options.step_size_min.value_or(1e-6))),
        most(static_cast<float>(options.step_size_max.value_or(50.0))) {}

  void operator()(float gradient, float& weight, float& before, float& size) const {
    const float agree = sign_of(gradient) * sign_of(before);
    float s = size + first;
    s *= agree > 0.0F ? larger : 1.0F;
    s *= agree < 0.0F ? smaller : 1.0F;
    s = s > most ? most : s;
    size = s < least ? least : s;
    before = agree < 0.0F ? 0.0F : gradient;
    weight -= sign_of(before) * size;
  }

  float first, smaller, larger, least, most;
};

/// As torch.optim.Adagrad, g with decay:
///   s = s + g^2
///   w = w - learning_rate / (1 + (t - 1) * lr_decay) * g / (sqrt(initial_accumulator_value + s) + eps)
/// (In PyTorch the initial value is part of the state.)
/// Source: Duchi, Hazan, Singer, JMLR 2011.
struct Adagrad {
  static constexpr std::array<std::string_view, 1> state_arrays = {"sum"};

  Adagrad(const OptimizerOptions& options, const UpdateStep& step)
      : decay(static_cast<float>(step.weight_decay)),
        rate(static_cast<float>(step.learning_rate / (1.0 + static_cast<double>(step.number - 1) *
                                                                options.lr_decay.value_or(0.0)))),
        initial(static_cast<float>(options.initial_accumulator_value.value_or(0.0))),
        eps(static_cast<float>(options.eps.value_or(1e-10))) {}

  void operator()(float gradient, float& weight, float& sum) const {
    const float g = gradient + decay * weight;
    sum += g * g;
    weight -= rate * (g / (std::sqrt(initial + sum) + eps));
  }

  float decay, rate, initial, eps;
};

/// As torch.optim.Adadelta, g with decay:
///   v = rho * v + (1 - rho) * g^2
///   d = sqrt(a + eps) / sqrt(v + eps) * g
///   a = rho * a + (1 - rho) * d^2
///   w = w - learning_rate * d
/// Source: Zeiler, arXiv 1212.5701.
struct Adadelta {
  static constexpr std::array<std::string_view, 2> state_arrays = {"square_avg", "acc_delta"};

  Adadelta(const OptimizerOptions& options, const UpdateStep& step)
      : keep(static_cast<float>(options.rho.value_or(0.9))),
        take(static_cast<float>(1.0 - options.rho.value_or(0.9))),
        decay(static_cast<float>(step.weight_decay)),
        rate(static_cast<float>(step.learning_rate)),
        eps(static_cast<float>(options.eps.value_or(1e-6))) {}

  void operator()(float gradient, float& weight, float& v, float& a) const {
    const float g = gradient + decay * weight;
    v = keep * v + take * g * g;
    const float d = std::sqrt(a + eps) / std::sqrt(v + eps) * g;
    a = keep * a + take * d * d;
    weight -= rate * d;
  }

  float keep, take, decay, rate, eps;
};

/// Averaged stochastic gradient descent, as torch.optim.ASGD, g with decay:
///   eta = learning_rate / (1 + lambd * learning_rate * (t - 1))^alpha
///   w  = w - eta * lambd * w - eta * g
///   ax = ax + (w - ax) / max(1, t - 1 - t0)
/// ax is the average from step t0 on, which is in checkpoints; nothing is computed with it.
/// Source: Polyak, Juditsky, SIAM J. Control Optim. 30, 1992.
struct Asgd {
  static constexpr std::array<std::string_view, 1> state_arrays = {"ax"};

  Asgd(const OptimizerOptions& options, const UpdateStep& step)
      : decay(static_cast<float>(step.weight_decay)) {
    const double lambd = options.lambd.value_or(1e-4), lr = step.learning_rate;
    const auto before = static_cast<double>(step.number - 1);
    const double eta = lr / std::pow(1.0 + lambd * lr * before, options.alpha.value_or(0.75));
    rate = static_cast<float>(eta);
    shrink = static_cast<float>(1.0 - lambd * eta);
    take = static_cast<float>(1.0 / std::max(1.0, before - options.t0.value_or(1e6)));
    keep = 1.0F - take;
  }

  void operator()(float gradient, float& weight, float& average) const {
    const float g = gradient + decay * weight;
    weight = shrink * weight - rate * g;
    average = keep * average + take * weight;
  }

  float decay, rate, shrink, keep, take;
};

/// The sign of an average, without decay in the gradient:
///   w = w - learning_rate * weight_decay_rate * w
///   w = w - learning_rate * sign(beta1 * m + (1 - beta1) * gradient)
///   m = beta2 * m + (1 - beta2) * gradient
/// Source: Chen et al., arXiv 2302.06675, algorithm 2.
struct Lion {
  static constexpr std::array<std::string_view, 1> state_arrays = {"exp_avg"};

  Lion(const OptimizerOptions& options, const UpdateStep& step)
      : moments(options.beta1.value_or(0.9), options.beta2.value_or(0.99)),
        shrink(static_cast<float>(1.0 - step.learning_rate * step.weight_decay)),
        rate(static_cast<float>(step.learning_rate)) {}

  void operator()(float gradient, float& weight, float& m) const {
    const float direction = moments.keep1 * m + moments.take1 * gradient;
    weight = shrink * weight - rate * sign_of(direction);
    m = moments.keep2 * m + moments.take2 * gradient;
  }

  Moments moments;
  float shrink, rate;
};

}  // namespace fcmnist::optim
