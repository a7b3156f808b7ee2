#pragma once

#include <string>

#include "core/matrix_view.hpp"

namespace fcmnist::kernels {

enum class Op { none, transpose };

/// C = alpha * op_a(A) * op_b(B) + beta * C, float32, by OpenBLAS.
///   op_a(A)  (m x k)
///   op_b(B)  (k x n)
///   C        (m x n) written; its old content is not read when beta is 0
/// Shapes are checked. m = 0 or n = 0 does nothing; k = 0 gives beta * C.
/// The bits depend on m, on the number of threads and on the core type that OpenBLAS chose.
void gemm(Op op_a, MatrixView<const float> a, Op op_b, MatrixView<const float> b, float alpha, float beta,
          MatrixView<float> c);

/// Threads that each GEMM of this process may use.
void set_blas_threads(int threads);

struct BlasInfo {
  std::string config;  ///< version and build options, e.g. "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  std::string core;    ///< kernels chosen for this processor, e.g. "SkylakeX"; the bits depend on it
};
BlasInfo blas_info();

/// The OPENBLAS_CORETYPE that would run faster on this processor than the kernels OpenBLAS chose by itself,
/// or "". OpenBLAS 0.3.21 does not know AVX-512 processors that came after it and falls back to AVX2 kernels
/// at half the speed.
std::string faster_core_type();

}  // namespace fcmnist::kernels
