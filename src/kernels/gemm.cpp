#include "kernels/gemm.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "core/error.hpp"
#include "kernels/gemm_onednn.hpp"

namespace fcmnist::kernels {

namespace {

constexpr bool has_onednn = FCMNIST_HAS_ONEDNN;  // 0 or 1, from CMake

std::size_t rows_of(Op op, MatrixView<const float> m) { return op == Op::none ? m.rows : m.cols; }
std::size_t cols_of(Op op, MatrixView<const float> m) { return op == Op::none ? m.cols : m.rows; }
CBLAS_TRANSPOSE flag_of(Op op) { return op == Op::none ? CblasNoTrans : CblasTrans; }

blasint to_blasint(std::size_t value) {
  FCMNIST_CHECK(value <= std::numeric_limits<blasint>::max(), fmt::format("{}", value));
  return static_cast<blasint>(value);
}

void gemm_openblas(Op op_a, MatrixView<const float> a, Op op_b, MatrixView<const float> b, float alpha,
                   float beta, MatrixView<float> c) {
  cblas_sgemm(CblasRowMajor, flag_of(op_a), flag_of(op_b), to_blasint(c.rows), to_blasint(c.cols),
              to_blasint(cols_of(op_a, a)), alpha, a.data, to_blasint(a.stride), b.data, to_blasint(b.stride),
              beta, c.data, to_blasint(c.stride));
}

BlasInfo openblas_info() {
  const char* variable = "OPENBLAS_CORETYPE";
  return {openblas_get_config(), openblas_get_corename(), std::getenv(variable) != nullptr ? variable : ""};
}

void scale(MatrixView<float> c, float beta) {
  for (std::size_t r = 0; r < c.rows; ++r) {
    for (float& value : c.row(r)) value = beta == 0.0F ? 0.0F : beta * value;
  }
}

}  // namespace

void gemm(GemmBackend backend, Op op_a, MatrixView<const float> a, Op op_b, MatrixView<const float> b,
          float alpha, float beta, MatrixView<float> c) {
  const std::size_t m = rows_of(op_a, a), k = cols_of(op_a, a), n = cols_of(op_b, b);
  FCMNIST_CHECK(
      rows_of(op_b, b) == k && c.rows == m && c.cols == n,
      fmt::format("op(A) {} x {}, op(B) {} x {}, C {} x {}", m, k, rows_of(op_b, b), n, c.rows, c.cols));
  FCMNIST_CHECK(available(backend), "a GEMM by oneDNN, which this build does not have");
  if (m == 0 || n == 0) return;
  if (k == 0) return scale(c, beta);  // oneDNN would not change C
  if constexpr (has_onednn) {
    if (backend == GemmBackend::onednn) return gemm_onednn(op_a, a, op_b, b, alpha, beta, c);
  }
  gemm_openblas(op_a, a, op_b, b, alpha, beta, c);
}

bool available(GemmBackend backend) { return backend == GemmBackend::openblas || has_onednn; }

BlasInfo blas_info(GemmBackend backend) {
  if constexpr (has_onednn) {
    if (backend == GemmBackend::onednn) return onednn_info();
  }
  return openblas_info();
}

}  // namespace fcmnist::kernels
