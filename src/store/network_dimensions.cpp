#include "store/network_dimensions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "store/labels.hpp"

namespace fcmnist::store {

bool is_bias(const Slot& slot) { return slot.rows == 1 && slot.name.ends_with(".bias"); }

NetworkDimensions::NetworkDimensions(const hdf5::Group& root, const Layout& layout) : root_(&root) {
  const std::vector<Slot>& slots = layout.slots();
  const auto layers = static_cast<std::size_t>(std::ranges::count_if(slots, std::not_fn(is_bias)));
  std::string output = "pixel";
  if (!slots.empty()) {
    write_coordinate(root, output, slots.front().inputs(), "pixel of the image: row * image_width + column");
  }
  std::size_t layer = 0;
  for (const Slot& slot : slots) {
    if (is_bias(slot)) {
      names_.push_back({output});
      continue;
    }
    const bool is_last = layer + 1 == layers;
    const std::string input = std::exchange(output, is_last ? "class" : fmt::format("hidden_{}", layer));
    write_coordinate(root, output, slot.outputs(),
                     is_last ? "class" : fmt::format("unit of hidden layer {}, from 0", layer));
    names_.push_back({output, input});
    ++layer;
  }
}

void NetworkDimensions::attach_to(const hdf5::Group& group, std::string_view array, std::size_t slot) const {
  unsigned dimension = 0;
  for (const std::string& name : names_.at(slot)) group.attach_scale(array, *root_, name, dimension++);
}

}  // namespace fcmnist::store
