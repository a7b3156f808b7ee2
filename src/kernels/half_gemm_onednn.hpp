#pragma once

#include <memory>

#include "core/half.hpp"
#include "core/matrix_view.hpp"
#include "kernels/gemm.hpp"
#include "kernels/half_support.hpp"

// The oneDNN side of half_gemm.hpp and half_support.hpp. Defined only in builds with oneDNN.

namespace fcmnist::kernels {

/// What oneDNN does with bfloat16 on this processor, within ONEDNN_MAX_CPU_ISA.
HalfCompute onednn_half_compute();

/// Products of bfloat16 matrices; keeps what oneDNN generated for each shape that it has met.
class OneDnnProducts {
 public:
  OneDnnProducts();
  ~OneDnnProducts();
  OneDnnProducts(OneDnnProducts&&) noexcept;

  /// As HalfGemm; shapes are right and none of m, n, k is 0.
  void product(Op op_a, MatrixView<const BFloat16> a, Op op_b, MatrixView<const BFloat16> b,
               MatrixView<BFloat16> c);
  void product(Op op_a, MatrixView<const BFloat16> a, Op op_b, MatrixView<const BFloat16> b, bool add,
               MatrixView<float> c);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fcmnist::kernels
