#include "kernels/half_support.hpp"

#include "kernels/half_gemm_onednn.hpp"

namespace fcmnist::kernels {

HalfCompute best_half_compute(HalfType type) {
  if constexpr (FCMNIST_HAS_ONEDNN) {
    if (type == HalfType::bfloat16) return onednn_half_compute();
  }
  return HalfCompute::emulated;
}

std::string_view name_of(HalfCompute compute) {
  switch (compute) {
    case HalfCompute::emulated:
      return "emulated";
    case HalfCompute::avx512_bf16:
      return "AVX512-BF16";
    case HalfCompute::amx_bf16:
      return "AMX";
  }
  return "unknown";
}

}  // namespace fcmnist::kernels
