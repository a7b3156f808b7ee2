#include "core/counter_rng.hpp"

#include <cmath>
#include <numbers>

namespace fcmnist {

double CounterRng::normal(std::uint32_t n) const {
  const auto x = block(n / 2);
  // u in (0, 1], so that its logarithm is finite.
  const double u = (x[0] + 1.0) * 0x1p-32;
  const double angle = 2.0 * std::numbers::pi * (x[1] + x[2] * 0x1p-32) * 0x1p-32;
  const double radius = std::sqrt(-2.0 * std::log(u));
  return radius * (n % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

}  // namespace fcmnist
