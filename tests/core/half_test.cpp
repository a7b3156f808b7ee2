#include "core/half.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace fcmnist {
namespace {

template <class Half>
struct Format;
template <>
struct Format<BFloat16> {
  static constexpr int mantissa_bits = 7, exponent_bits = 8;
};
template <>
struct Format<Float16> {
  static constexpr int mantissa_bits = 10, exponent_bits = 5;
};

template <class Half>
Half from_bits(unsigned bits) {
  Half half;
  half.bits = static_cast<std::uint16_t>(bits);
  return half;
}

/// Bits of positive infinity; larger ones (without the sign) are NaN.
template <class Half>
constexpr unsigned infinity_bits = ((1U << Format<Half>::exponent_bits) - 1) << Format<Half>::mantissa_bits;

/// The value of positive finite bits. Infinity has the value that it would have if the exponent went on.
template <class Half>
double value_of(unsigned bits) {
  const int m = Format<Half>::mantissa_bits, bias = (1 << (Format<Half>::exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> m);
  const int mantissa = static_cast<int>(bits & ((1U << m) - 1));
  if (exponent == 0) return std::ldexp(mantissa, 1 - bias - m);
  return std::ldexp((1 << m) + mantissa, exponent - bias - m);
}

template <class Half>
unsigned rounded(float value) {
  return Half(value).bits;
}

template <class Half>
class HalfFormat : public testing::Test {};
using Formats = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(HalfFormat, Formats);

TYPED_TEST(HalfFormat, IsTwoPlainBytes) {
  static_assert(sizeof(TypeParam) == 2 && std::is_trivial_v<TypeParam>);
  static_assert(static_cast<float>(TypeParam(-1.5F)) == -1.5F);
}

TYPED_TEST(HalfFormat, EveryValueWidensExactlyAndComesBack) {
  for (unsigned bits = 0; bits <= 0xffff; ++bits) {
    const unsigned magnitude = bits & 0x7fffU;
    const auto wide = static_cast<float>(from_bits<TypeParam>(bits));
    ASSERT_EQ(std::signbit(wide), bits > 0x7fffU) << bits;
    if (magnitude > infinity_bits<TypeParam>) {
      ASSERT_TRUE(std::isnan(wide)) << bits;
      ASSERT_GT(rounded<TypeParam>(wide) & 0x7fffU, infinity_bits<TypeParam>) << bits;
      continue;
    }
    if (magnitude == infinity_bits<TypeParam>) {
      ASSERT_TRUE(std::isinf(wide));
    } else {
      ASSERT_EQ(std::abs(wide), value_of<TypeParam>(magnitude)) << bits;
    }
    ASSERT_EQ(rounded<TypeParam>(wide), bits);
  }
}

// The last of them is between the largest number and infinity.
TYPED_TEST(HalfFormat, BetweenNeighboursTheNearerOneIsTakenAndTheEvenOneOfEquals) {
  for (unsigned low = 0; low < infinity_bits<TypeParam>; ++low) {
    const unsigned high = low + 1, even = low % 2 == 0 ? low : high;
    const double exact = (value_of<TypeParam>(low) + value_of<TypeParam>(high)) / 2;
    const auto middle = static_cast<float>(exact);
    ASSERT_EQ(middle, exact);
    for (const float sign : {1.0F, -1.0F}) {
      const unsigned sign_bit = sign < 0 ? 0x8000U : 0U;
      ASSERT_EQ(rounded<TypeParam>(sign * middle), sign_bit | even) << low;
      ASSERT_EQ(rounded<TypeParam>(sign * std::nextafter(middle, 0.0F)), sign_bit | low) << low;
      ASSERT_EQ(rounded<TypeParam>(sign * std::nextafter(middle, INFINITY)), sign_bit | high) << low;
    }
  }
}

TYPED_TEST(HalfFormat, EndsOfTheRange) {
  using Limits = std::numeric_limits<float>;
  EXPECT_EQ(rounded<TypeParam>(Limits::max()), infinity_bits<TypeParam>);
  EXPECT_EQ(rounded<TypeParam>(-Limits::infinity()), infinity_bits<TypeParam> | 0x8000U);
  EXPECT_EQ(rounded<TypeParam>(Limits::denorm_min()), 0U);
  EXPECT_EQ(rounded<TypeParam>(-Limits::denorm_min()), 0x8000U);
}

TYPED_TEST(HalfFormat, NoNaNBecomesANumber) {
  for (std::uint32_t payload = 1; payload < 1U << 23; payload = payload * 2 + (payload % 3 == 0)) {
    for (const std::uint32_t sign : {0U, 0x80000000U}) {
      const auto nan = std::bit_cast<float>(sign | 0x7f800000U | payload);
      EXPECT_GT(rounded<TypeParam>(nan) & 0x7fffU, infinity_bits<TypeParam>) << payload;
      EXPECT_EQ(rounded<TypeParam>(nan) >> 15, sign >> 31);
    }
  }
  const auto all_ones = std::bit_cast<float>(0x7fffffffU);  // where adding to round would wrap around
  EXPECT_TRUE(std::isnan(static_cast<float>(TypeParam(all_ones))));
}

TEST(Float16, OverflowsAt65520) {
  EXPECT_EQ(static_cast<float>(Float16(65519.996F)), 65504.0F);
  EXPECT_EQ(static_cast<float>(Float16(65520.0F)), INFINITY);
}

}  // namespace
}  // namespace fcmnist
