#pragma once

namespace fcmnist::kernels {

/// The library that multiplies matrices.
enum class GemmBackend { openblas, onednn };

struct KernelOptions {
  GemmBackend gemm = GemmBackend::openblas;
  int blas_threads = 1;  ///< per rank

  bool operator==(const KernelOptions&) const = default;
};

}  // namespace fcmnist::kernels
