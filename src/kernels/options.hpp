#pragma once

namespace fcmnist::kernels {

/// The library that multiplies matrices.
enum class GemmBackend { openblas, onednn };

/// What working weights and activations are stored in under mixed precision; see core/half.hpp.
enum class HalfType { bfloat16, float16 };

struct KernelOptions {
  GemmBackend gemm = GemmBackend::openblas;
  int blas_threads = 1;  ///< per rank

  bool operator==(const KernelOptions&) const = default;
};

}  // namespace fcmnist::kernels
