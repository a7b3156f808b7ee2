#include "plan/made_up_data.hpp"

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>

namespace fcmnist::plan {

train::SharedDataset made_up_data(const comm::Topology& topology, const data::DatasetShape& shape,
                                  int num_classes) {
  const auto classes = static_cast<unsigned>(num_classes);
  return {topology, shape, num_classes, [&](std::span<std::uint8_t> images, std::span<std::uint8_t> labels) {
            std::minstd_rand random(1);
            std::ranges::generate(images, [&] { return static_cast<std::uint8_t>(random() >> 8U); });
            std::ranges::generate(labels, [&] { return static_cast<std::uint8_t>(random() % classes); });
          }};
}

data::DatasetShape enough_to_measure(data::DatasetShape shape, std::size_t step_samples) {
  constexpr std::size_t least = 8192, steps = 8;
  shape.samples = std::min(shape.samples, std::max(least, steps * step_samples));
  return shape;
}

}  // namespace fcmnist::plan
