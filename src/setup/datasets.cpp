#include "setup/datasets.hpp"

#include <fmt/format.h>

#include <functional>

#include "core/error.hpp"
#include "data/dataset_files.hpp"
#include "data/fake_dataset.hpp"
#include "data/fetch.hpp"
#include "setup/context.hpp"

namespace fcmnist::setup {

namespace {

/// Reads the sizes on each node. Nodes may see different file systems, and all must hold a set of the same
/// sizes.
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
  double fetch_s = 0.0;
  on_root(topology.world(), [&] { fetch_s = data::try_locate(input) ? 0.0 : comm::long_work_s; });
  on_root(
      topology.world(), [&] { data::fetch_missing(input, log); }, topology.world().max(fetch_s));
  return shape_on_all_nodes(topology, input);
}

train::SharedDataset read_dataset(const comm::Topology& topology, const data::InputOptions& input,
                                  const data::DatasetShape& shape, int num_classes) {
  return {topology, shape, num_classes, [&](std::span<std::uint8_t> images, std::span<std::uint8_t> labels) {
            if (input.use_fake_data) {
              data::fill_fake(input.split, shape, num_classes, images, labels);
            } else {
              data::read_samples(data::locate(input), shape, num_classes, images, labels);
            }
          }};
}

}  // namespace fcmnist::setup
