#pragma once

#include <string_view>

#include "kernels/options.hpp"

namespace fcmnist::kernels {

/// How products of half matrices are computed, slowest first. The numbers mean the same: inputs in half,
/// products added in fp32. The bits differ, since the order of additions does.
enum class HalfCompute {
  emulated,     ///< widened to fp32 and multiplied by kernels::gemm, any type
  avx512_bf16,  ///< oneDNN with vdpbf16ps, bfloat16 only
  amx_bf16,     ///< oneDNN with tdpbf16ps, bfloat16 only
};

/// The best that this build and this processor can do. Emulated for float16, for which oneDNN 2.6 has no
/// product, in builds without oneDNN, and on processors without bfloat16 instructions, where oneDNN's own
/// emulation is slower than ours. ONEDNN_MAX_CPU_ISA limits it: AVX512_CORE_BF16 turns AMX off, AVX2 both.
HalfCompute best_half_compute(HalfType type);

/// "emulated", "AVX512-BF16", "AMX"
std::string_view name_of(HalfCompute compute);

}  // namespace fcmnist::kernels
