#pragma once

#include <string_view>

#include "kernels/options.hpp"

namespace fcmnist::kernels {

/// How products of matrices of 16-bit numbers are computed, slowest first. All add the products in fp32. The
/// order of the additions differs, and so do the bits.
enum class HalfCompute {
  emulated,     ///< kernels::gemm multiplies the numbers widened to fp32, for any type
  avx512_bf16,  ///< oneDNN uses the instruction vdpbf16ps, for bfloat16 only
  amx_bf16,     ///< oneDNN uses the instruction tdpbf16ps, for bfloat16 only
};

/// The fastest way that this build and this processor have. It is `emulated` for float16, for which oneDNN
/// 2.6 has no product; in builds without oneDNN; and on processors without bfloat16 instructions, where
/// oneDNN's own emulation is slower than ours. ONEDNN_MAX_CPU_ISA limits it: AVX512_CORE_BF16 turns AMX off,
/// AVX2 turns off both kinds of instructions.
HalfCompute best_half_compute(HalfType type);

/// "emulated", "AVX512-BF16", "AMX"
std::string_view name_of(HalfCompute compute);

}  // namespace fcmnist::kernels
