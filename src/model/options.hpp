#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "core/half.hpp"
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

/// What working weights, activations, deltas and so the inputs of matrix products are stored in. Master
/// weights, gradients of weights, optimizer state, sums and the loss are float32 always.
enum class Precision { float32, bfloat16, float16 };

/// The precision whose numbers have this type.
template <class T>
inline constexpr Precision precision_of_type = Precision::float32;
template <>
inline constexpr Precision precision_of_type<BFloat16> = Precision::bfloat16;
template <>
inline constexpr Precision precision_of_type<Float16> = Precision::float16;

/// work.operator()<T>() with the type of these numbers.
template <class Work>
auto with_number_type(Precision precision, Work work) {
  switch (precision) {
    case Precision::bfloat16:
      return work.template operator()<BFloat16>();
    case Precision::float16:
      return work.template operator()<Float16>();
    case Precision::float32:
      break;
  }
  return work.template operator()<float>();
}

/// Bytes of a working weight or activation.
constexpr std::size_t number_bytes(Precision precision) { return precision == Precision::float32 ? 4 : 2; }

/// How the first layer is multiplied with the images.
enum class InputProducts {
  dense,   ///< by the library that multiplies the other layers
  sparse,  ///< only the pixels that are not zero; in float32
};

/// Units of the first layer from which on sparse products are worth while: with fewer, finding the pixels takes longer than
/// multiplying all.
inline constexpr int least_sparse_units = 64;

/// Probabilities that a hidden unit is dropped in training: one for all hidden layers, or one for each.
class Dropout {
 public:
  Dropout(double all) : all_(all) {}  // NOLINT(google-explicit-constructor)
  explicit Dropout(std::vector<double> layers) : layers_(std::move(layers)) {}

  /// Of a hidden layer, counted over the whole network.
  [[nodiscard]] double of(std::size_t layer) const { return layers_.empty() ? all_ : layers_.at(layer); }
  /// One for each hidden layer; empty if there is one for all.
  [[nodiscard]] const std::vector<double>& layers() const { return layers_; }
  [[nodiscard]] bool any() const {
    return all_ > 0.0 || std::ranges::any_of(layers_, [](double probability) { return probability > 0.0; });
  }

  bool operator==(const Dropout&) const = default;

 private:
  double all_ = 0.0;
  std::vector<double> layers_;
};

struct MlpOptions {
  std::vector<int> hidden_sizes = {500, 300};
  int num_classes = 10;
  double input_dropout = 0.0;  ///< probability that a normalised pixel is dropped in training
  Dropout dropout = 0.0;
  double label_smoothing = 0.0;  ///< of the training loss: see kernels/softmax_loss.hpp
  bool use_bias = true;
  Initializer initializer = Initializer::he_normal;
  // When not given, a resume takes those of its checkpoint; else False, and the best type of this machine.
  std::optional<bool> mixed_precision;
  std::optional<kernels::HalfType> half_type;
  // What is in effect, which src/setup settles.
  Precision precision = Precision::float32;
  InputProducts input_products = InputProducts::dense;

  bool operator==(const MlpOptions&) const = default;
};

}  // namespace fcmnist::model
