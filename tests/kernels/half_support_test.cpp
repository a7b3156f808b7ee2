#include "kernels/half_support.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "kernels/gemm.hpp"

namespace fcmnist::kernels {
namespace {

TEST(HalfSupport, Float16IsEmulated) {
  EXPECT_EQ(best_half_compute(HalfType::float16), HalfCompute::emulated);
}

TEST(HalfSupport, BFloat16UsesWhatOneDnnMayUse) {
  const HalfCompute best = best_half_compute(HalfType::bfloat16);
  const char* const limit = std::getenv("ONEDNN_MAX_CPU_ISA");
  if (!available(GemmBackend::onednn) || (limit != nullptr && std::string(limit) == "AVX2")) {
    EXPECT_EQ(best, HalfCompute::emulated);
    return;
  }
  const bool has_bf16 = __builtin_cpu_supports("avx512bf16") != 0;
  if (!has_bf16) {
    EXPECT_EQ(best, HalfCompute::emulated);
  } else if (limit != nullptr) {
    ASSERT_EQ(std::string(limit), "AVX512_CORE_BF16");
    EXPECT_EQ(best, HalfCompute::avx512_bf16);
  } else {
    EXPECT_NE(best, HalfCompute::emulated);
  }
}

TEST(HalfSupport, NamesForTheLog) {
  EXPECT_EQ(name_of(HalfCompute::emulated), "emulated");
  EXPECT_EQ(name_of(HalfCompute::avx512_bf16), "AVX512-BF16");
  EXPECT_EQ(name_of(HalfCompute::amx_bf16), "AMX");
}

}  // namespace
}  // namespace fcmnist::kernels
