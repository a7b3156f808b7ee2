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

/// Share `index` when `count` items are cut into `parts` contiguous shares. The sizes of the shares differ by
/// at most one. With fewer items than parts, some shares are empty.
constexpr Range share_of(std::size_t count, std::size_t parts, std::size_t index) {
  return {count * index / parts, count * (index + 1) / parts};
}

}  // namespace fcmnist
