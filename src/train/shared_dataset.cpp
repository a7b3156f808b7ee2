#include "train/shared_dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <random>

#include "core/error.hpp"
#include "data/dataset_files.hpp"
#include "data/fake_dataset.hpp"
#include "data/fetch.hpp"

namespace fcmnist::train {

namespace {

/// Nodes may see different file systems: all must hold a set of the same sizes.
data::DatasetShape shape_on_all_nodes(const comm::Topology& topology, const data::InputOptions& input) {
  data::DatasetShape shape;
  comm::collectively(topology.world(), topology.is_leader()
                                           ? [&] { shape = data::read_shape(data::locate(input)); }
                                           : std::function<void()>());
  const data::DatasetShape first = topology.world().broadcast(shape, 0);
  comm::collectively(topology.world(), [&] {
    if (topology.is_leader() && shape != first) {
      throw DataError(fmt::format("{}: {} here, but the node of rank 0 has {}", input.data_dir,
                                  data::to_string(shape), data::to_string(first)),
                      "use a data_dir that all nodes share, or put the same files on each");
    }
  });
  return first;
}

}  // namespace

data::DatasetShape find_dataset(const comm::Topology& topology, const data::InputOptions& input,
                                Logger& log) {
  if (input.use_fake_data) return data::fake_dataset_shape(input.split);
  const bool is_root = topology.world().rank() == 0;
  const auto on_root = [&](const std::function<void()>& action, double work_s) {
    comm::collectively(topology.world(), is_root ? action : std::function<void()>(), work_s);
  };
  double fetch_s = 0.0;
  on_root([&] { fetch_s = data::try_locate(input) ? 0.0 : comm::long_work_s; }, 0.0);
  on_root([&] { data::fetch_missing(input, log); }, topology.world().max(fetch_s));
  return shape_on_all_nodes(topology, input);
}

SharedDataset::SharedDataset(const comm::Topology& topology, const data::InputOptions& input,
                             const data::DatasetShape& shape, int num_classes)
    : shape_(shape),
      num_classes_(num_classes),
      images_(topology.node(), shape.image_bytes()),
      labels_(topology.node(), shape.samples) {
  comm::collectively(topology.world(), [&] {
    if (!topology.is_leader()) return;
    if (input.use_fake_data) {
      data::fill_fake(input.split, shape_, num_classes_, images_.all(), labels_.all());
    } else {
      data::read_samples(data::locate(input), shape_, num_classes_, images_.all(), labels_.all());
    }
  });
}

data::Dataset SharedDataset::view() const {
  return data::make_dataset(shape_, num_classes_, images_.all(), labels_.all());
}

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
