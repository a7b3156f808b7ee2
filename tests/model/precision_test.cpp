#include "model/precision.hpp"

#include <gtest/gtest.h>

namespace fcmnist::model {
namespace {

using kernels::HalfCompute;
using kernels::HalfType;

MlpOptions asking(std::optional<bool> mixed, std::optional<HalfType> half) {
  MlpOptions options;
  options.mixed_precision = mixed;
  options.half_type = half;
  return options;
}

TEST(Precision, IsFloat32UnlessMixedPrecisionIsAskedFor) {
  for (const HalfCompute machine : {HalfCompute::emulated, HalfCompute::amx_bf16}) {
    for (const auto half : {std::optional<HalfType>(), std::optional(HalfType::float16)}) {
      EXPECT_EQ(precision_of(asking({}, half), machine), Precision::float32);
      EXPECT_EQ(precision_of(asking(false, half), machine), Precision::float32);
    }
  }
}

TEST(Precision, TheMachineDecidesWhatNobodyHasSaid) {
  EXPECT_EQ(precision_of(asking(true, {}), HalfCompute::emulated), Precision::float32);
  EXPECT_EQ(precision_of(asking(true, {}), HalfCompute::avx512_bf16), Precision::bfloat16);
  EXPECT_EQ(precision_of(asking(true, {}), HalfCompute::amx_bf16), Precision::bfloat16);
}

TEST(Precision, ATypeThatIsAskedForIsUsedWhateverItCosts) {
  for (const HalfCompute machine : {HalfCompute::emulated, HalfCompute::amx_bf16}) {
    EXPECT_EQ(precision_of(asking(true, HalfType::bfloat16), machine), Precision::bfloat16);
    EXPECT_EQ(precision_of(asking(true, HalfType::float16), machine), Precision::float16);
  }
}

TEST(Precision, OnlyWhatIsGivenAndDiffersAsksAnew) {
  const MlpOptions none = asking({}, {}), mixed = asking(true, {});
  const MlpOptions full = asking(false, {}), half = asking(true, HalfType::float16);
  for (const MlpOptions& same : {none, mixed, full, half}) {
    EXPECT_FALSE(asks_anew(same, same));
    EXPECT_FALSE(asks_anew(none, same));
  }
  EXPECT_FALSE(asks_anew(mixed, half));
  EXPECT_TRUE(asks_anew(half, mixed));
  EXPECT_TRUE(asks_anew(full, mixed));
  EXPECT_TRUE(asks_anew(mixed, full));
  EXPECT_TRUE(asks_anew(mixed, none));
}

TEST(Precision, HasANameForEachType) {
  EXPECT_EQ(name_of(Precision::float32), "float32");
  EXPECT_EQ(name_of(Precision::bfloat16), "bfloat16");
  EXPECT_EQ(name_of(Precision::float16), "float16");
}

}  // namespace
}  // namespace fcmnist::model
