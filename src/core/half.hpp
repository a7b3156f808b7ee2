#pragma once

#include <bit>
#include <cstdint>

namespace fcmnist {

/// bfloat16: the upper 16 bits of a float, so it has the range of a float and 8 bits of precision. It is only
/// stored; arithmetic is in float. A float is rounded to the nearest, ties to even. The relative error is at
/// most 2^-8; subnormal numbers are multiples of 2^-133. From (1 - 2^-9) 2^128 up a float becomes infinite. A
/// NaN stays a NaN. Source: Wang, Kanwar, "BFloat16: the secret to high performance on Cloud TPUs" (2019).
struct BFloat16 {
  std::uint16_t bits;

  BFloat16() = default;
  constexpr explicit BFloat16(float value) : bits(round(std::bit_cast<std::uint32_t>(value))) {}
  constexpr explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

 private:
  /// It makes no comparisons, so that loops of it become vector code.
  static constexpr std::uint16_t round(std::uint32_t x) {
    const std::int32_t above_infinity = 0x7f800000 - static_cast<std::int32_t>(x & 0x7fffffffU);
    const auto nan = static_cast<std::uint32_t>(above_infinity >> 31);  // all ones if x is a NaN
    const std::uint32_t half_ulp = (0x7fffU + ((x >> 16) & 1U)) & ~nan;
    return static_cast<std::uint16_t>((x + half_ulp) >> 16 | (nan & 0x40U));  // a quiet NaN, never infinity
  }
};

/// IEEE 754 binary16, with 11 bits of precision. It is only stored; arithmetic is in float. A float is
/// rounded to the nearest, ties to even. The relative error is at most 2^-11 from 2^-14 up; smaller numbers
/// become multiples of 2^-24. From 65520 up a float becomes infinite. A NaN stays a NaN. The bits are those
/// of the processor's F16C instructions.
struct Float16 {
  std::uint16_t bits;

  Float16() = default;
  constexpr explicit Float16(float value) : bits(round(std::bit_cast<std::uint32_t>(value))) {}
  constexpr explicit operator float() const { return std::bit_cast<float>(widen(bits)); }

 private:
  static constexpr std::uint16_t round(std::uint32_t x) {
    const std::uint32_t sign = x >> 16 & 0x8000U, magnitude = x & 0x7fffffffU;
    return static_cast<std::uint16_t>(sign | round_magnitude(magnitude));
  }
  // Here and in widen() all cases are computed before one is chosen: loops of it become vector code.
  static constexpr std::uint32_t round_magnitude(std::uint32_t x) {
    constexpr std::uint32_t infinity = 0x7f800000, least_normal = 113U << 23, too_large = 143U << 23;
    const std::uint32_t normal = (x - (112U << 23) + 0xfffU + (x >> 13 & 1U)) >> 13;
    // The last bit of floats from 0.5 to 1 is worth 2^-24, as is that of a subnormal.
    const float sum = std::bit_cast<float>(x) + 0.5F;
    const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(sum) - std::bit_cast<std::uint32_t>(0.5F);
    const std::uint32_t quiet_nan = 0x7e00U | (x >> 13 & 0x3ffU);
    const std::uint32_t finite = x < least_normal ? subnormal : normal;
    const std::uint32_t number = x < too_large ? finite : 0x7c00U;
    return x > infinity ? quiet_nan : number;
  }
  static constexpr std::uint32_t widen(std::uint16_t bits) {
    const std::uint32_t sign = std::uint32_t{bits} << 16 & 0x80000000U, magnitude = bits & 0x7fffU;
    const std::uint32_t normal = (magnitude << 13) + (112U << 23);
    const auto subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24F);
    const std::uint32_t finite = magnitude < 0x400U ? subnormal : normal;
    const std::uint32_t quiet = magnitude > 0x7c00U ? 0x400000U : 0U;
    return sign | (magnitude < 0x7c00U ? finite : 0x7f800000U | magnitude << 13 | quiet);
  }
};

}  // namespace fcmnist
