#pragma once

#include <span>

#include "core/arena.hpp"
#include "core/matrix_view.hpp"
#include "core/sparse_rows.hpp"

namespace fcmnist::kernels {

// The products of a layer whose input has many zeros: x = value + constant in every place, where most values are zero. Only
// the values are multiplied; what the constant adds is the same for all samples, and is passed as `base`. Weights are
// stored inputs x outputs, so that the weights of one input are neighbours.
//
// Each number is the fused sum of its products in the order of the columns of a sparse row, whatever the processor is: the
// same bits with AVX2 and AVX-512.

/// Whether the products are worth while at all: fewer outputs than a vector has numbers are not.
constexpr std::size_t least_sparse_outputs = 16;

/// Forward.
///   samples  (samples x inputs)
///   weight   (inputs x outputs), of at least 16 outputs
///   base     (outputs): what a sample adds up to that has no value
///   out      (samples x outputs), written: samples weight + base
void sparse_forward(const SparseRows& samples, MatrixView<const float> weight, std::span<const float> base,
                    MatrixView<float> out);

/// Gradient of the weights of inputs [first, first + out.rows).
///   inputs  (inputs x samples): the transpose of what sparse_forward() was given
///   delta   (samples x outputs): gradient by the outputs
///   base    (outputs): what an input without a value gets
///   out     (so many inputs x outputs), written, or added to if `add`: inputs delta + base
void sparse_weight_gradient(const SparseRows& inputs, std::size_t first, MatrixView<const float> delta,
                            std::span<const float> base, bool add, MatrixView<float> out);

/// Sums over the inputs, in their order: sums[o] = sum over i of weight[i][o].
void sum_inputs(MatrixView<const float> weight, std::span<float> sums);

}  // namespace fcmnist::kernels
