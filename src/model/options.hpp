#pragma once

#include <vector>

namespace fcmnist::model {

enum class Initializer {
  he_normal,       ///< weights N(0, 2 / fan_in), biases 0; He et al. 2015
  pytorch,         ///< weights and biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as torch.nn.Linear
  xavier_uniform,  ///< weights U(-a, a), a = sqrt(6 / (fan_in + fan_out)), biases 0; Glorot and Bengio 2010
  zeros,
};

struct MlpOptions {
  std::vector<int> hidden_sizes = {500, 300};
  int num_classes = 10;
  double dropout = 0.0;  ///< probability that a hidden unit is dropped in training
  bool use_bias = true;
  Initializer initializer = Initializer::he_normal;

  bool operator==(const MlpOptions&) const = default;
};

}  // namespace fcmnist::model
