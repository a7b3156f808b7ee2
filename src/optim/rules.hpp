#pragma once

#include <array>
#include <string_view>

#include "optim/options.hpp"
#include "optim/update.hpp"

namespace fcmnist::optim {

// The element-wise rules. A rule is a struct with
//   state_arrays  the names of its state arrays, as checkpoints name them
//   a constructor that takes what is constant in a step out of the options
//   a call operator that updates one weight, and its number in each state array, by its gradient
// and a row in the table of optim/update.cpp. The call is inlined into a loop of vector code: no branches.

/// Stochastic gradient descent with momentum, as torch.optim.SGD:
///   g = gradient + weight_decay_rate * w
///   m = momentum * m + g
///   w = w - learning_rate * (use_nesterov ? g + momentum * m : m)
/// Source: Sutskever, Martens, Dahl, Hinton, ICML 2013 (in PyTorch's form: the learning rate is applied
/// last).
struct Sgd {
  static constexpr std::array<std::string_view, 1> state_arrays = {"momentum_buffer"};

  Sgd(const OptimizerOptions& options, const UpdateStep& step)
      : decay(static_cast<float>(options.weight_decay_rate)),
        momentum(static_cast<float>(options.momentum)),
        learning_rate(static_cast<float>(step.learning_rate)),
        from_gradient(options.use_nesterov ? 1.0F : 0.0F),
        from_momentum(options.use_nesterov ? momentum : 1.0F) {}

  void operator()(float gradient, float& weight, float& momentum_buffer) const {
    const float g = gradient + decay * weight;
    momentum_buffer = momentum * momentum_buffer + g;
    weight -= learning_rate * (from_gradient * g + from_momentum * momentum_buffer);
  }

  float decay, momentum, learning_rate, from_gradient, from_momentum;
};

}  // namespace fcmnist::optim
