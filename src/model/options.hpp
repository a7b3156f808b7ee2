#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "kernels/options.hpp"

namespace fcmnist::model {

enum class Initializer {
  he_normal,       ///< weights N(0, 2 / fan_in), biases 0; He et al. 2015
  pytorch,         ///< weights and biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as torch.nn.Linear
  xavier_uniform,  ///< weights U(-a, a), a = sqrt(6 / (fan_in + fan_out)), biases 0; Glorot and Bengio 2010
  zeros,
};

/// The libraries that compute the matrix products of a layer.
struct LayerGemms {
  kernels::GemmBackend forward = kernels::GemmBackend::openblas;
  kernels::GemmBackend delta = kernels::GemmBackend::openblas;  ///< the first layer of a network has none
  kernels::GemmBackend weight_gradient = kernels::GemmBackend::openblas;

  bool operator==(const LayerGemms&) const = default;
};

/// The libraries of all layers: one for everything, or a choice for every layer of the network.
class GemmChoice {
 public:
  GemmChoice(kernels::GemmBackend all) : all_{all, all, all} {}  // NOLINT(google-explicit-constructor)
  explicit GemmChoice(std::vector<LayerGemms> layers) : layers_(std::move(layers)) {}

  /// `layer`: over the whole network.
  [[nodiscard]] const LayerGemms& of(std::size_t layer) const {
    return layers_.empty() ? all_ : layers_.at(layer);
  }

 private:
  LayerGemms all_;
  std::vector<LayerGemms> layers_;
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
