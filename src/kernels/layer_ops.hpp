#pragma once

#include <cstdint>
#include <span>

#include "core/counter_rng.hpp"
#include "core/matrix_view.hpp"

namespace fcmnist::kernels {

/// x[r][c] += bias[c]; an empty bias adds nothing.
///   x (rows x cols), bias (cols) or empty
void add_bias(MatrixView<float> x, std::span<const float> bias);

/// x[r][c] = max(x[r][c] + bias[c], 0), in one pass; an empty bias adds nothing. A NaN stays a NaN.
void add_bias_relu(MatrixView<float> x, std::span<const float> bias);

/// Inverted dropout of one microbatch: x[r][c] becomes 0 with the given probability, else x[r][c] * scale
/// with scale = 1 / (1 - probability). Unit c of sample `sample_ids[r]` falls or stays as a pure function of
/// (seed, epoch, layer, sample id, c), so it does not matter which rank computes the sample.
///   x (rows x cols), sample_ids (rows)
/// The probability is used with a resolution of 2^-16.
/// Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10 (inverted form).
struct DropoutKey {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  std::uint32_t layer = 0;
};
void dropout(MatrixView<float> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key);

/// Backward of ReLU followed by inverted dropout, from their output alone: d = activation > 0 ? d * scale :
/// 0.
///   d, activation (rows x cols); scale = 1 / (1 - probability), 1 without dropout
void relu_dropout_backward(MatrixView<float> d, MatrixView<const float> activation, float scale);

/// out[c] = sum over rows of d[r][c], or out[c] += that sum when `add`. Rows are added in order.
///   d (rows x cols), out (cols)
void sum_rows(MatrixView<const float> d, std::span<float> out, bool add);

}  // namespace fcmnist::kernels
