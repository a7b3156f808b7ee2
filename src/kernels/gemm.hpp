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
  std::string config;   ///< version and build options, e.g. "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  std::string core;     ///< kernels chosen for this processor, e.g. "SkylakeX"; the bits depend on it
  bool forced = false;  ///< by the environment variable OPENBLAS_CORETYPE
};
BlasInfo blas_info();

}  // namespace fcmnist::kernels
