#pragma once

#include <type_traits>

#include "core/half.hpp"

namespace fcmnist::kernels {

/// The library that multiplies matrices.
enum class GemmBackend { openblas, onednn };

/// The 16-bit number type in which mixed precision stores working weights and activations; see core/half.hpp.
enum class HalfType { bfloat16, float16 };
template <class Half>
constexpr HalfType half_type_of = std::is_same_v<Half, BFloat16> ? HalfType::bfloat16 : HalfType::float16;

/// Whether the first layer multiplies only the pixels that are not zero.
enum class InputProducts {
  automatic,  ///< where that is faster; src/setup decides
  dense,
  sparse,
};

struct KernelOptions {
  InputProducts input_products = InputProducts::automatic;
  GemmBackend gemm = GemmBackend::openblas;
  int blas_threads = 1;  ///< threads of each rank

  bool operator==(const KernelOptions&) const = default;
};

}  // namespace fcmnist::kernels
