#pragma once

#include "kernels/gemm.hpp"

// The part of gemm.hpp that oneDNN does. It is defined only in builds with oneDNN.

namespace fcmnist::kernels {

/// Does what gemm() does. The shapes fit, and none of m, n, k is 0.
void gemm_onednn(Op op_a, MatrixView<const float> a, Op op_b, MatrixView<const float> b, float alpha,
                 float beta, MatrixView<float> c);

void set_onednn_threads(int threads);

/// Throws std::bad_alloc if there is too little memory for new machine code, for which oneDNN asks without a look at
/// the answer. The first gemm_onednn() makes all of its code at once.
void check_memory_for_code();

BlasInfo onednn_info();

}  // namespace fcmnist::kernels
