#include "train/made_up_data.hpp"

#include <algorithm>
#include <random>

namespace fcmnist::train {

MadeUpData::MadeUpData(const comm::Topology& topology, const data::DatasetShape& shape, int num_classes)
    : shape_(shape),
      num_classes_(num_classes),
      images_(topology.node(), shape_.image_bytes()),
      labels_(topology.node(), shape_.samples) {
  if (topology.is_leader()) {
    const auto classes = static_cast<unsigned>(num_classes);
    std::minstd_rand random(1);
    std::ranges::generate(images_.all(), [&] { return static_cast<std::uint8_t>(random() >> 8U); });
    std::ranges::generate(labels_.all(), [&] { return static_cast<std::uint8_t>(random() % classes); });
  }
  topology.world().barrier();
}

data::Dataset MadeUpData::view() const {
  return data::make_dataset(shape_, num_classes_, images_.all(), labels_.all());
}

data::DatasetShape enough_to_measure(data::DatasetShape shape, std::size_t step_samples) {
  constexpr std::size_t least = 8192, steps = 8;
  shape.samples = std::min(shape.samples, std::max(least, steps * step_samples));
  return shape;
}

}  // namespace fcmnist::train
