#pragma once

#include <cstddef>

namespace fcmnist {

/// Positions [begin, end) of a list.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::size_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

/// Part `index` of `count` items cut into `parts` contiguous shares whose sizes differ by at most one. The
/// shares are disjoint and cover; with fewer items than parts some are empty.
constexpr Range share_of(std::size_t count, std::size_t parts, std::size_t index) {
  return {count * index / parts, count * (index + 1) / parts};
}

}  // namespace fcmnist
