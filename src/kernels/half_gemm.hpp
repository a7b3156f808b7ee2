#pragma once

#include <memory>
#include <span>

#include "core/arena.hpp"
#include "core/half.hpp"
#include "core/matrix_view.hpp"
#include "kernels/gemm.hpp"
#include "kernels/half_support.hpp"

namespace fcmnist::kernels {

class OneDnnProducts;

/// Products of half matrices (Half: BFloat16 or Float16) on one thread. Keeps generated code for every
/// shape that it has met (0.3 ms to make) and scratch memory, both made by the first call of a shape: one
/// object per thread, for as long as the matrices have these shapes. The scratch memory is that of the
/// largest C in half, in fp32; and when halves are emulated, of the largest A and the largest B.
///
/// Where numbers are rounded:
///   1. inputs are half already;
///   2. a product of two of them is exact in fp32; sums over k are in fp32, in an order that depends on how
///      they are computed: error at most k 2^-24 sum |a b|;
///   3. bias and ReLU are computed in fp32 from this sum;
///   4. a result in half is rounded once, at the end: relative error at most 2^-8 (bfloat16) or 2^-11
///      (float16, while it is normal).
/// The bfloat16 instructions take subnormal numbers (below 2^-126) for zero; the emulation does not.
///
/// oneDNN is fastest where every stride equals the number of columns: 1.25 times at 64 samples, 1.05 at 256.
/// With AVX512-BF16, a whole step takes the same time, within 9 % either way, with units x samples (bias and
/// ReLU in a pass of our own over fp32 sums) and with samples x units (fused by oneDNN, which cannot do it
/// for the former): so activations lie as they do in fp32.
template <class Half>
class HalfGemm {
 public:
  /// `emulated`: also where there are instructions for the type, see best_half_compute().
  explicit HalfGemm(bool emulated = false);
  ~HalfGemm();
  HalfGemm(HalfGemm&&) noexcept;

  // In all of them: op_a(A) (m x k), op_b(B) (k x n), C (m x n). Shapes are checked; k = 0 is a sum of
  // nothing, m = 0 or n = 0 does nothing. `backend` multiplies when halves are emulated.

  /// C = op_a(A) op_b(B)
  void product(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b, MatrixView<const Half> b,
               MatrixView<Half> c);

  /// C = op_a(A) op_b(B), or C += it when `add`, in fp32. Without `add` the old content is not read.
  void product(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b, MatrixView<const Half> b,
               bool add, MatrixView<float> c);

  /// C = max(op_a(A) op_b(B) + bias, 0); bias (m) or empty: none. A NaN stays a NaN.
  void product_bias_relu(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b,
                         MatrixView<const Half> b, std::span<const float> bias, MatrixView<Half> c);

 private:
  /// A matrix of C's shape to compute in.
  MatrixView<float> sums_for(MatrixView<Half> c);

  std::unique_ptr<OneDnnProducts> onednn_;  ///< nullptr: emulated
  AlignedArray<float> wide_a_, wide_b_, sums_;
};

extern template class HalfGemm<BFloat16>;
extern template class HalfGemm<Float16>;

}  // namespace fcmnist::kernels
