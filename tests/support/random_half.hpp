#pragma once

#include <cstdint>
#include <vector>

#include "core/half.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::test {

template <class Half>
std::vector<Half> to_half(const std::vector<float>& numbers) {
  return std::vector<Half>(numbers.begin(), numbers.end());
}

/// `count` numbers from N(0, 1), rounded, the same for the same seed.
template <class Half>
std::vector<Half> random_halves(std::size_t count, std::uint64_t seed) {
  return to_half<Half>(random_numbers(count, seed));
}

/// Largest relative error of rounding to Half, while the result is normal.
template <class Half>
constexpr double unit_roundoff = 0x1p-8;
template <>
inline constexpr double unit_roundoff<Float16> = 0x1p-11;

}  // namespace fcmnist::test
