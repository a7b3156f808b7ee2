#include "kernels/gemm.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "core/error.hpp"

namespace fcmnist::kernels {

namespace {

std::size_t rows_of(Op op, MatrixView<const float> m) { return op == Op::none ? m.rows : m.cols; }
std::size_t cols_of(Op op, MatrixView<const float> m) { return op == Op::none ? m.cols : m.rows; }
CBLAS_TRANSPOSE flag_of(Op op) { return op == Op::none ? CblasNoTrans : CblasTrans; }

blasint to_blasint(std::size_t value) {
  FCMNIST_CHECK(value <= std::numeric_limits<blasint>::max(), fmt::format("{}", value));
  return static_cast<blasint>(value);
}

/// BLAS demands a leading dimension of at least 1 and at least the row length, also for empty matrices.
blasint leading(MatrixView<const float> m) {
  return to_blasint(std::max({m.stride, m.cols, std::size_t{1}}));
}

}  // namespace

void gemm(Op op_a, MatrixView<const float> a, Op op_b, MatrixView<const float> b, float alpha, float beta,
          MatrixView<float> c) {
  const std::size_t m = rows_of(op_a, a), k = cols_of(op_a, a), n = cols_of(op_b, b);
  FCMNIST_CHECK(
      rows_of(op_b, b) == k && c.rows == m && c.cols == n,
      fmt::format("op(A) {} x {}, op(B) {} x {}, C {} x {}", m, k, rows_of(op_b, b), n, c.rows, c.cols));
  if (m == 0 || n == 0) return;
  cblas_sgemm(CblasRowMajor, flag_of(op_a), flag_of(op_b), to_blasint(m), to_blasint(n), to_blasint(k), alpha,
              a.data, leading(a), b.data, leading(b), beta, c.data, leading(c));
}

void set_blas_threads(int threads) { openblas_set_num_threads(threads); }

BlasInfo blas_info() {
  return {openblas_get_config(), openblas_get_corename(), std::getenv("OPENBLAS_CORETYPE") != nullptr};
}

}  // namespace fcmnist::kernels
