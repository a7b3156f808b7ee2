#include "core/layout.hpp"

#include <algorithm>
#include <numeric>

namespace fcmnist {

std::size_t Layout::add(std::string name, std::size_t rows, std::size_t cols, Order order) {
  slots_.push_back({std::move(name), rows, cols, order, size_});
  size_ += (rows * cols + alignment - 1) / alignment * alignment;
  return slots_.size() - 1;
}

std::size_t Layout::parameter_count() const {
  std::size_t count = 0;
  for (const Slot& slot : slots_) count += slot.count();
  return count;
}

namespace {

/// How many rows make a block of about `target` numbers; at least one. Blocks end at the end of a cache line
/// where they can, so that those of different owners do not share a line.
std::size_t rows_per_block(std::size_t cols, std::size_t target) {
  const std::size_t rows = std::max<std::size_t>(target / cols, 1);
  const std::size_t to_a_line = Layout::alignment / std::gcd(cols, Layout::alignment);
  return rows < to_a_line ? rows : rows / to_a_line * to_a_line;
}

}  // namespace

std::vector<Block> blocks_of(const Layout& layout, std::size_t target) {
  std::vector<Block> blocks;
  for (std::size_t s = 0; s < layout.slots().size(); ++s) {
    const Slot& slot = layout[s];
    if (slot.count() == 0) continue;
    const std::size_t rows_at_once = rows_per_block(slot.cols, target);
    for (std::size_t row = 0; row < slot.rows; row += rows_at_once) {
      const std::size_t begin = row * slot.cols;
      const std::size_t end = std::min(row + rows_at_once, slot.rows) * slot.cols;
      const std::size_t step = rows_at_once > 1 ? end - begin : target;  // a long row is cut
      for (std::size_t i = begin; i < end; i += step) {
        blocks.push_back({s, slot.offset + i, std::min(step, end - i)});
      }
    }
  }
  return blocks;
}

}  // namespace fcmnist
