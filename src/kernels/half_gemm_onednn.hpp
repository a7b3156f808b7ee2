#pragma once

#include <memory>

#include "core/half.hpp"
#include "core/matrix_view.hpp"
#include "kernels/gemm.hpp"
#include "kernels/half_support.hpp"

// The part of half_gemm.hpp and half_support.hpp that oneDNN does. It is defined only in builds with oneDNN.

namespace fcmnist::kernels {

/// How oneDNN multiplies bfloat16 matrices on this processor, within ONEDNN_MAX_CPU_ISA.
HalfCompute onednn_half_compute();

/// Products of bfloat16 matrices. It keeps the code that oneDNN has generated for each shape.
class OneDnnProducts {
 public:
  OneDnnProducts();
  ~OneDnnProducts();
  OneDnnProducts(OneDnnProducts&&) noexcept;

  /// Do what HalfGemm does. The shapes fit, and none of m, n, k is 0.
  void product(Op op_a, MatrixView<const BFloat16> a, Op op_b, MatrixView<const BFloat16> b,
               MatrixView<BFloat16> c);
  void product(Op op_a, MatrixView<const BFloat16> a, Op op_b, MatrixView<const BFloat16> b, bool add,
               MatrixView<float> c);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fcmnist::kernels
