#pragma once

#include <cstdint>
#include <vector>

#include "core/counter_rng.hpp"

namespace fcmnist::test {

/// `count` numbers from N(0, 1), the same for the same seed.
inline std::vector<float> random_numbers(std::size_t count, std::uint64_t seed) {
  const CounterRng rng(seed, Purpose::fake_data, 0, 0);
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i)
    numbers[i] = static_cast<float>(rng.normal(static_cast<std::uint32_t>(i)));
  return numbers;
}

}  // namespace fcmnist::test
