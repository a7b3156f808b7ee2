#pragma once

#include <span>

#include "core/matrix_view.hpp"
#include "core/sparse_rows.hpp"

namespace fcmnist::kernels {

// The products of a layer whose inputs are mostly equal: x = value + constant, where most values are zero. Only values are
// multiplied; what the constant adds is the same in every row. Weights are stored inputs x outputs, so that the weights of one
// input are neighbours.
//
// Each number is one sum of fused multiplications in the order of the columns, whatever the processor is: the same bits with AVX2
// and AVX-512. The zeros that an entry holds for some of its rows change no sum.

/// Outputs that the products need at least: the numbers of a vector.
constexpr std::size_t least_sparse_outputs = 16;

/// Forward of a hidden layer.
///   samples  (samples x inputs): the values
///   weight   (inputs x outputs)
///   bias     (outputs) or empty
///   out      (samples x outputs), written: ReLU of (values + constant) weight + bias
void sparse_hidden(const SparseRows& samples, float constant, MatrixView<const float> weight,
                   std::span<const float> bias, MatrixView<float> out);

/// Gradient of the weights of inputs [first, first + out.rows).
///   inputs  (inputs x samples): the transpose of what sparse_hidden() was given
///   delta   (samples x outputs): gradient by the outputs, before the bias
///   out     (so many inputs x outputs), written, or added to if `add`: (values + constant) delta
void sparse_weight_gradient(const SparseRows& inputs, std::size_t first, float constant,
                            MatrixView<const float> delta, bool add, MatrixView<float> out);

}  // namespace fcmnist::kernels
