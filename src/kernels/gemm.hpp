#pragma once

#include <string>

#include "core/matrix_view.hpp"
#include "kernels/options.hpp"

namespace fcmnist::kernels {

enum class Op { none, transpose };

/// C = alpha * op_a(A) * op_b(B) + beta * C in float32. The library `backend` computes it; it must be
/// available().
///   op_a(A)  (m x k)
///   op_b(B)  (k x n)
///   C        (m x n) written; its old content is not read if beta is 0
/// Shapes are checked. m = 0 or n = 0 does nothing; k = 0 gives beta * C.
/// The bits depend on the library, on m, on the number of threads and on the kernels that the library chose.
void gemm(GemmBackend backend, Op op_a, MatrixView<const float> a, Op op_b, MatrixView<const float> b,
          float alpha, float beta, MatrixView<float> c);

/// Whether this build has the library.
bool available(GemmBackend backend);

struct BlasInfo {
  std::string config;  ///< name, version, build options, e.g. "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  std::string core;  ///< name of the machine code for this processor, e.g. "SkylakeX"; the bits depend on it
  std::string forced_by;  ///< the environment variable that limits the choice, if one is set
};
BlasInfo blas_info(GemmBackend backend);

}  // namespace fcmnist::kernels
