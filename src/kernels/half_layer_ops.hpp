#pragma once

#include <span>

#include "core/half.hpp"
#include "core/matrix_view.hpp"

// The operations of layer_ops.hpp on 16-bit activations and deltas (units x samples). Arithmetic is in fp32,
// and a number is rounded once, when it is stored. dropout() for all types is in layer_ops.hpp.

namespace fcmnist::kernels {

/// out[u][s] = max(x[u][s] + bias[u], 0); an empty bias adds nothing. A NaN stays a NaN.
///   x, out (units x samples), bias (units) or empty
void bias_relu(MatrixView<const float> x, std::span<const float> bias, MatrixView<BFloat16> out);
void bias_relu(MatrixView<const float> x, std::span<const float> bias, MatrixView<Float16> out);

/// Backward of ReLU followed by inverted dropout, from their output alone:
///   d = activation > 0 ? d * scale : 0
///   d, activation (units x samples)
///   scale = 1 / (1 - probability); 1 without dropout, and then nothing is rounded
void relu_dropout_backward(MatrixView<BFloat16> d, MatrixView<const BFloat16> activation, float scale);
void relu_dropout_backward(MatrixView<Float16> d, MatrixView<const Float16> activation, float scale);

/// out[u] = sum over samples of d[u][s], or out[u] += that sum if `add`. The sum is in fp32, in an order that
/// depends on the number of samples only.
///   d (units x samples), out (units)
void sum_samples(MatrixView<const BFloat16> d, std::span<float> out, bool add);
void sum_samples(MatrixView<const Float16> d, std::span<float> out, bool add);

}  // namespace fcmnist::kernels
