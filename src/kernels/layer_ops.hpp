#pragma once

#include <cstdint>
#include <span>

#include "core/counter_rng.hpp"
#include "core/half.hpp"
#include "core/matrix_view.hpp"

namespace fcmnist::kernels {

/// Activations and deltas are units x samples: the samples of one unit are neighbours. The GEMMs of a step
/// are up to a third faster on small batches than with samples x units, a bias is one number per row, and
/// vector code runs over samples.

/// x[u][s] += bias[u]; an empty bias adds nothing.
///   x (units x samples), bias (units) or empty
void add_bias(MatrixView<float> x, std::span<const float> bias);

/// x[u][s] = max(x[u][s] + bias[u], 0) in one pass; an empty bias adds nothing. A NaN stays a NaN.
void add_bias_relu(MatrixView<float> x, std::span<const float> bias);

/// Inverted dropout of one microbatch: x[u][s] becomes 0 with the given probability, else x[u][s] * scale
/// with scale = 1 / (1 - probability). Whether unit u of sample `sample_ids[s]` is dropped is a pure function
/// of (seed, epoch, layer, sample id, u): it depends neither on the rank that computes the sample nor on the
/// number type. 16-bit numbers are multiplied in fp32 and rounded.
///   x (units x samples), sample_ids (samples)
/// The probability is used with a resolution of 2^-16.
/// Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10 (inverted form).
struct DropoutKey {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  std::uint32_t layer = 0;  ///< below 256
};
void dropout(MatrixView<float> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key);
void dropout(MatrixView<BFloat16> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key);
void dropout(MatrixView<Float16> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key);

/// The same of numbers that lie samples x units, as images do: a unit of a sample is dropped if dropout() with this key drops it.
///   x (samples x units), may have a stride; sample_ids (samples)
void dropout_by_sample(MatrixView<float> x, std::span<const std::uint32_t> sample_ids, double probability,
                       DropoutKey key);
void dropout_by_sample(MatrixView<BFloat16> x, std::span<const std::uint32_t> sample_ids, double probability,
                       DropoutKey key);
void dropout_by_sample(MatrixView<Float16> x, std::span<const std::uint32_t> sample_ids, double probability,
                       DropoutKey key);

/// Backward of ReLU followed by inverted dropout, from their output alone:
///   d = activation > 0 ? d * scale : 0
///   d, activation (units x samples)
///   scale = 1 / (1 - probability); 1 without dropout
void relu_dropout_backward(MatrixView<float> d, MatrixView<const float> activation, float scale);

/// out[u] = sum over samples of d[u][s], or out[u] += that sum if `add`. This is the gradient of a bias. The
/// order of the additions depends on the number of samples only.
///   d (units x samples), out (units)
void sum_samples(MatrixView<const float> d, std::span<float> out, bool add);

}  // namespace fcmnist::kernels
