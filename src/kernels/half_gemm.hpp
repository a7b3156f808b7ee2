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

/// Products of matrices of 16-bit numbers (Half is BFloat16 or Float16) on one thread.
///
/// The first call with a shape makes the machine code for it (0.3 ms) and scratch memory. The object keeps
/// both: use one object per thread, for as long as the matrices have these shapes. The scratch memory holds
/// the largest 16-bit C in fp32. If the products are emulated, it also holds the largest A and the largest B
/// in fp32.
///
/// Where numbers are rounded:
///   1. The inputs have 16 bits already.
///   2. A product of two of them is exact in fp32. Sums over k are in fp32, in an order that depends on
///      HalfCompute. Their error is at most k 2^-24 sum |a b|.
///   3. Bias and ReLU are computed in fp32 from this sum.
///   4. A 16-bit result is rounded once, at the end. The relative error is at most 2^-8 (bfloat16) or 2^-11
///      (float16, unless the result is subnormal).
/// The bfloat16 instructions take subnormal numbers (below 2^-126) for zero; the emulation does not.
///
/// oneDNN is fastest if every stride equals the number of columns: 1.25 times at 64 samples, 1.05 times at
/// 256. Activations are units x samples, as in fp32. Samples x units would let oneDNN fuse bias and ReLU, for
/// which we make a pass of our own over fp32 sums; but with AVX512-BF16 the times of a whole step differ by
/// at most 9 % in either direction.
template <class Half>
class HalfGemm {
 public:
  /// With `emulated`, instructions for the type are not used even if there are any; see best_half_compute().
  explicit HalfGemm(bool emulated = false);
  ~HalfGemm();
  HalfGemm(HalfGemm&&) noexcept;

  // In the three functions below, op_a(A) is m x k, op_b(B) is k x n, and C is m x n. The shapes are checked.
  // With k = 0 the sums are 0; with m = 0 or n = 0 nothing is done. `backend` multiplies if the products are
  // emulated.

  /// C = op_a(A) op_b(B)
  void product(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b, MatrixView<const Half> b,
               MatrixView<Half> c);

  /// C = op_a(A) op_b(B) in fp32, or C += that product if `add`. Without `add` the old content is not read.
  void product(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b, MatrixView<const Half> b,
               bool add, MatrixView<float> c);

  /// C = max(op_a(A) op_b(B) + bias, 0). `bias` has m numbers or none. A NaN stays a NaN.
  void product_bias_relu(GemmBackend backend, Op op_a, MatrixView<const Half> a, Op op_b,
                         MatrixView<const Half> b, std::span<const float> bias, MatrixView<Half> c);

 private:
  /// Scratch memory in the shape of C.
  MatrixView<float> sums_for(MatrixView<Half> c);

  std::unique_ptr<OneDnnProducts> onednn_;  ///< nullptr if the products are emulated
  AlignedArray<float> wide_a_, wide_b_, sums_;
};

extern template class HalfGemm<BFloat16>;
extern template class HalfGemm<Float16>;

}  // namespace fcmnist::kernels
