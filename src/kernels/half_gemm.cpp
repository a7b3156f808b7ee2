#include "kernels/half_gemm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "core/convert.hpp"
#include "core/error.hpp"
#include "kernels/half_gemm_onednn.hpp"
#include "kernels/half_layer_ops.hpp"

namespace fcmnist::kernels {

#if !FCMNIST_HAS_ONEDNN  // then no such object is ever made
struct OneDnnProducts::State {};
OneDnnProducts::~OneDnnProducts() = default;
#endif

namespace {

template <class Half>
constexpr bool onednn_multiplies = FCMNIST_HAS_ONEDNN&& std::is_same_v<Half, BFloat16>;

template <class Half, class T>
std::size_t checked_depth(Op op_a, MatrixView<const Half> a, Op op_b, MatrixView<const Half> b,
                          MatrixView<T> c) {
  const auto [m, k] = op_a == Op::none ? std::pair(a.rows, a.cols) : std::pair(a.cols, a.rows);
  const auto [b_rows, n] = op_b == Op::none ? std::pair(b.rows, b.cols) : std::pair(b.cols, b.rows);
  FCMNIST_CHECK(b_rows == k && c.rows == m && c.cols == n,
                fmt::format("op(A) {} x {}, op(B) {} x {}, C {} x {}", m, k, b_rows, n, c.rows, c.cols));
  return k;
}

MatrixView<float> matrix_in(AlignedArray<float>& scratch, std::size_t rows, std::size_t cols) {
  if (scratch.size() < rows * cols) scratch = AlignedArray<float>(rows * cols);
  return {scratch.data(), rows, cols};
}

template <class Half>
MatrixView<const float> widened(MatrixView<const Half> x, AlignedArray<float>& scratch) {
  const MatrixView<float> wide = matrix_in(scratch, x.rows, x.cols);
  convert(x, wide);
  return wide;
}

}  // namespace

template <class Half>
HalfGemm<Half>::HalfGemm(bool emulated) {
  if constexpr (onednn_multiplies<Half>) {
    const bool has_instructions = best_half_compute(half_type_of<Half>) != HalfCompute::emulated;
    if (has_instructions && !emulated) onednn_ = std::make_unique<OneDnnProducts>();
  }
}

template <class Half>
HalfGemm<Half>::~HalfGemm() = default;
template <class Half>
HalfGemm<Half>::HalfGemm(HalfGemm&&) noexcept = default;

template <class Half>
MatrixView<float> HalfGemm<Half>::sums_for(MatrixView<Half> c) {
  return matrix_in(sums_, c.rows, c.cols);
}

template <class Half>
void HalfGemm<Half>::product(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b,
                             MatrixView<const Half> b, MatrixView<Half> c) {
  const std::size_t k = checked_depth(op_a, a, op_b, b, c);
  if constexpr (onednn_multiplies<Half>) {
    if (onednn_ && c.rows > 0 && c.cols > 0 && k > 0) return onednn_->product(op_a, a, op_b, b, c);
  }
  const MatrixView<float> sums = sums_for(c);
  product(backend, op_a, a, op_b, b, false, sums);
  convert(sums, c);
}

template <class Half>
void HalfGemm<Half>::product(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b,
                             MatrixView<const Half> b, bool add, MatrixView<float> c) {
  const std::size_t k = checked_depth(op_a, a, op_b, b, c);
  if constexpr (onednn_multiplies<Half>) {
    if (onednn_ && c.rows > 0 && c.cols > 0 && k > 0) return onednn_->product(op_a, a, op_b, b, add, c);
  }
  gemm(backend, op_a, widened(a, wide_a_), op_b, widened(b, wide_b_), 1.0F, add ? 1.0F : 0.0F, c);
}

template <class Half>
void HalfGemm<Half>::product_bias_relu(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b,
                                       MatrixView<const Half> b, std::span<const float> bias,
                                       MatrixView<Half> c) {
  const MatrixView<float> sums = sums_for(c);
  product(backend, op_a, a, op_b, b, false, sums);
  bias_relu(sums, bias, c);
}

template class HalfGemm<BFloat16>;
template class HalfGemm<Float16>;

}  // namespace fcmnist::kernels
