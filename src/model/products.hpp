#pragma once

#include <span>

#include "core/arena.hpp"
#include "core/half.hpp"
#include "core/matrix_view.hpp"
#include "kernels/gemm.hpp"
#include "kernels/half_gemm.hpp"

namespace fcmnist::model {

/// The matrix products of a layer, with what is fused with them, on weights, activations and deltas of one
/// type (float, BFloat16, Float16). Sums are formed in fp32; kernels/half_gemm.hpp says where 16-bit
/// numbers are rounded. Biases are stored as weights are, and added in fp32.
///   weight (outputs x inputs), bias (outputs) or empty
///   op_b(below) (inputs x samples): outputs of the layer below, or images as they lie in memory
///
/// With the best instructions that this processor has for the type (kernels/half_support.hpp), whatever
/// library a call names. Where there are none, that library multiplies the numbers widened to float.
template <class Half>
class Products {
 public:
  void hidden(kernels::GemmBackend backend, MatrixView<const Half> weight, std::span<const Half> bias,
              kernels::Op op_b, MatrixView<const Half> below, MatrixView<Half> out);
  /// In fp32, for a loss in fp32.
  void logits(kernels::GemmBackend backend, MatrixView<const Half> weight, std::span<const Half> bias,
              kernels::Op op_b, MatrixView<const Half> below, MatrixView<float> out);
  void delta(kernels::GemmBackend backend, MatrixView<const Half> weight, MatrixView<const Half> delta,
             MatrixView<Half> out);
  void weight_gradient(kernels::GemmBackend backend, MatrixView<const Half> delta, kernels::Op op_b,
                       MatrixView<const Half> below, bool add, MatrixView<float> out);

 private:
  std::span<const float> wide(std::span<const Half> bias);

  kernels::HalfGemm<Half> gemm_;
  AlignedArray<float> bias_;
};

/// In float, by the library that each call names.
template <>
class Products<float> {
 public:
  /// out = max(weight op_b(below) + bias, 0)
  void hidden(kernels::GemmBackend backend, MatrixView<const float> weight, std::span<const float> bias,
              kernels::Op op_b, MatrixView<const float> below, MatrixView<float> out);
  /// out = weight op_b(below) + bias
  void logits(kernels::GemmBackend backend, MatrixView<const float> weight, std::span<const float> bias,
              kernels::Op op_b, MatrixView<const float> below, MatrixView<float> out);
  /// out = weight^T delta
  void delta(kernels::GemmBackend backend, MatrixView<const float> weight, MatrixView<const float> delta,
             MatrixView<float> out);
  /// out = delta op_b(below), or out += it when `add`
  void weight_gradient(kernels::GemmBackend backend, MatrixView<const float> delta, kernels::Op op_b,
                       MatrixView<const float> below, bool add, MatrixView<float> out);
};

extern template class Products<BFloat16>;
extern template class Products<Float16>;

}  // namespace fcmnist::model
