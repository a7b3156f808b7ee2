#include "core/layout.hpp"

#include <algorithm>

namespace fcmnist {

std::size_t Layout::add(std::string name, std::size_t rows, std::size_t cols) {
  slots_.push_back({std::move(name), rows, cols, size_});
  size_ += (rows * cols + alignment - 1) / alignment * alignment;
  return slots_.size() - 1;
}

std::size_t Layout::parameter_count() const {
  std::size_t count = 0;
  for (const Slot& slot : slots_) count += slot.count();
  return count;
}

std::vector<Block> blocks_of(const Layout& layout, std::size_t target) {
  std::vector<Block> blocks;
  for (std::size_t s = 0; s < layout.slots().size(); ++s) {
    const Slot& slot = layout[s];
    const std::size_t whole_rows = target / std::max<std::size_t>(slot.cols, 1) * slot.cols;
    const std::size_t step = whole_rows > 0 ? whole_rows : target;
    for (std::size_t begin = 0; begin < slot.count(); begin += step) {
      blocks.push_back({s, slot.offset + begin, std::min(step, slot.count() - begin)});
    }
  }
  return blocks;
}

}  // namespace fcmnist
