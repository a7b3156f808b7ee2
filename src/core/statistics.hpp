#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace fcmnist {

/// The median of numbers; the upper one of the two in the middle if their count is even. `values` is not
/// empty.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace fcmnist
