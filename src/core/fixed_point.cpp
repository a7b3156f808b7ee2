#include "core/fixed_point.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>

#include "core/error.hpp"

namespace fcmnist {

namespace {

// The sum of this and a double below 2^51 has the nearest integer in its lowest bits, as two's complement.
// Before AVX-512, processors have no vector instruction that rounds a double to a 64-bit integer.
constexpr double rounder = 0x1.8p52;
constexpr auto rounder_bits = std::bit_cast<std::uint64_t>(rounder);
constexpr std::int64_t limit_units = std::int64_t{1} << 50;
constexpr std::uint32_t all_but_sign = 0x7FFF'FFFF;
constexpr std::size_t chunk = 256;  // so many numbers stay in the first-level cache

/// total[i] = the sum over the terms of number begin + i.
void sum_terms(std::span<const std::int64_t* const> terms, std::size_t begin, std::span<std::int64_t> total) {
  std::int64_t* __restrict to = total.data();
  std::copy_n(terms[0] + begin, total.size(), to);
  for (const std::int64_t* term : terms.subspan(1)) {
#pragma omp simd
    for (std::size_t i = 0; i < total.size(); ++i) {
      to[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(to[i]) +
                                        static_cast<std::uint64_t>(term[begin + i]));
    }
  }
}

/// to[i] = values[i] * units, rounded to an integer; or to[i] += that, if `adds`. Returns the largest
/// |value|; NaN counts as larger than all others.
float add_rounded(const float* __restrict values, double units, bool adds, std::span<std::int64_t> to) {
  std::int64_t* __restrict sums = to.data();
  const std::uint64_t keep = adds ? ~std::uint64_t{0} : 0;
  // The bits of floats without a sign have the order of the numbers; NaN comes last.
  std::uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
  for (std::size_t i = 0; i < to.size(); ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(values[i]) & all_but_sign);
    const double shifted = static_cast<double>(values[i]) * units + rounder;
    // The sum is unsigned because it may wrap around above the limit.
    const std::uint64_t rounded = std::bit_cast<std::uint64_t>(shifted) - rounder_bits;
    sums[i] = static_cast<std::int64_t>((static_cast<std::uint64_t>(sums[i]) & keep) + rounded);
  }
  return std::bit_cast<float>(largest);
}

/// to[i] = total[i] * unit. Returns whether all are within the limit.
bool to_floats(std::span<const std::int64_t> total, double unit, float* __restrict to) {
  const std::int64_t* __restrict from = total.data();
  std::int64_t beyond = 0;  // has a bit above the limit if one of the numbers has one
#pragma omp simd reduction(| : beyond)
  for (std::size_t i = 0; i < total.size(); ++i) {
    beyond |= from[i] ^ (from[i] < 0 ? -1 : 0);
    const auto shifted = static_cast<std::uint64_t>(from[i]) + rounder_bits;
    to[i] = static_cast<float>((std::bit_cast<double>(shifted) - rounder) * unit);
  }
  return beyond < limit_units;
}

}  // namespace

FixedPoint::FixedPoint(int exponent) : exponent_(exponent) {
  FCMNIST_CHECK(exponent >= smallest_exponent && exponent <= largest_exponent, fmt::format("{}", exponent));
}

double FixedPoint::unit() const { return std::ldexp(1.0, exponent_); }

double FixedPoint::limit() const { return static_cast<double>(limit_units) * unit(); }

float FixedPoint::add(std::span<const float> values, Into into, std::span<std::int64_t> sums) const {
  FCMNIST_CHECK(values.size() == sums.size(), fmt::format("{} and {}", values.size(), sums.size()));
  return add_rounded(values.data(), std::ldexp(1.0, -exponent_), into == Into::add, sums);
}

bool FixedPoint::sum(std::span<const std::int64_t* const> terms, std::span<float> out) const {
  FCMNIST_CHECK(!terms.empty(), "no terms");
  alignas(64) std::array<std::int64_t, chunk> total;
  bool fits = true;
  for (std::size_t begin = 0; begin < out.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, out.size() - begin);
    sum_terms(terms, begin, {total.data(), count});
    fits &= to_floats({total.data(), count}, unit(), out.data() + begin);
  }
  return fits;
}

FixedPoint::Summed FixedPoint::sum(std::span<const float* const> terms, std::span<float> out) const {
  FCMNIST_CHECK(!terms.empty(), "no terms");
  const double units = std::ldexp(1.0, -exponent_);
  alignas(64) std::array<std::int64_t, chunk> total;
  std::uint32_t largest = 0;
  bool fits = true;
  for (std::size_t begin = 0; begin < out.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, out.size() - begin);
    for (const float* term : terms) {
      const float here = add_rounded(term + begin, units, term != terms.front(), {total.data(), count});
      largest = std::max(largest, std::bit_cast<std::uint32_t>(here));
    }
    fits &= to_floats({total.data(), count}, unit(), out.data() + begin);
  }
  const auto largest_term = std::bit_cast<float>(largest);
  return {largest_term, fits && largest_term <= limit()};
}

void ordered_sum(std::span<const std::int64_t* const> terms, std::span<std::int64_t> out) {
  FCMNIST_CHECK(!terms.empty(), "no terms");
  std::array<std::int64_t, chunk> total;  // a copy, since `out` may be a later term
  for (std::size_t begin = 0; begin < out.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, out.size() - begin);
    sum_terms(terms, begin, {total.data(), count});
    std::copy_n(total.data(), count, out.data() + begin);
  }
}

namespace {

// The unit of each part of an ExactSum. What a part leaves over is less than its unit, so the sum of 4,095 of
// them stays below 2^53 units of the next part.
constexpr std::array<double, ExactSum::part_count> part_units = {0x1p34, 0x1p-8, 0x1p-50};
constexpr double exact_below = 0x1p86;

}  // namespace

ExactSum::ExactSum(std::span<const double, part_count> parts) { std::ranges::copy(parts, parts_.begin()); }

void ExactSum::add(double number) {
  for (std::size_t p = 0; p < part_count; ++p) {
    const double part = std::nearbyint(number / part_units[p]) * part_units[p];
    parts_[p] += part;
    if (!std::isfinite(number)) return;
    number -= part;
  }
}

double ExactSum::value() const {
  if (parts_[0] >= exact_below) return std::numeric_limits<double>::infinity();
  return parts_[0] + (parts_[1] + parts_[2]);
}

}  // namespace fcmnist
