#pragma once

#include "kernels/gemm.hpp"

// The oneDNN side of gemm.hpp. Defined only in builds with oneDNN.

namespace fcmnist::kernels {

/// As gemm(); shapes are right and none of m, n, k is 0.
void gemm_onednn(Op op_a, MatrixView<const float> a, Op op_b, MatrixView<const float> b, float alpha,
                 float beta, MatrixView<float> c);

void set_onednn_threads(int threads);

BlasInfo onednn_info();

}  // namespace fcmnist::kernels
