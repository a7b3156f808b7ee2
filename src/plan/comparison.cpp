#include "plan/comparison.hpp"

#include <algorithm>
#include <vector>

#include "core/error.hpp"

namespace fcmnist::plan {

namespace {

/// The number below which the fraction `part` of the numbers lies: 0.5 gives the median.
double quantile(std::vector<double> numbers, double part) {
  const auto at = numbers.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(numbers.size()));
  std::ranges::nth_element(numbers, at);
  return *at;
}

}  // namespace

Comparison compare(std::span<const double> base, std::span<const double> other) {
  FCMNIST_CHECK(!base.empty() && base.size() == other.size(), "rounds of both");
  std::vector<double> ratios(base.size());
  std::ranges::transform(other, base, ratios.begin(), [](double o, double b) { return o / b; });
  return {quantile({base.begin(), base.end()}, 0.5), quantile({other.begin(), other.end()}, 0.5),
          quantile(ratios, 0.5), quantile(ratios, 0.75)};
}

Comparison of_slowest_rank(const comm::Communicator& world, const Comparison& mine) {
  return {world.max(mine.base_s), world.max(mine.other_s), world.max(mine.ratio), world.max(mine.spread)};
}

}  // namespace fcmnist::plan
