#pragma once

#include <cstdint>
#include <optional>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/log.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"

namespace fcmnist::train {

/// The data sets that the mode needs; the second only when it is evaluated.
struct Shapes {
  data::DatasetShape train;
  std::optional<data::DatasetShape> eval;
};

/// Sizes of the split that `input` names, after fetching it if it is missing: one rank of the world
/// downloads, one rank of each node looks. Collective; all ranks throw the same DataError.
data::DatasetShape find_dataset(const comm::Topology& topology, const data::InputOptions& input, Logger& log);

/// The images and labels of one split: one copy per node in a shared window, read by one rank of the node.
class SharedDataset {
 public:
  /// Collective; all ranks throw the same DataError. `shape` is what find_dataset returned.
  SharedDataset(const comm::Topology& topology, const data::InputOptions& input,
                const data::DatasetShape& shape, int num_classes);

  [[nodiscard]] data::Dataset view() const;
  /// Shared memory that the node needs for it.
  static std::size_t bytes(const data::DatasetShape& shape) { return shape.image_bytes() + shape.samples; }

 private:
  data::DatasetShape shape_;
  int num_classes_;
  comm::SharedArray<std::uint8_t> images_;
  comm::SharedArray<std::uint8_t> labels_;
};

/// Random images and labels, to measure with: one copy per node, as in training.
class MadeUpData {
 public:
  /// Collective.
  MadeUpData(const comm::Topology& topology, const data::DatasetShape& shape, int num_classes);
  [[nodiscard]] data::Dataset view() const;

 private:
  data::DatasetShape shape_;
  int num_classes_;
  comm::SharedArray<std::uint8_t> images_;
  comm::SharedArray<std::uint8_t> labels_;
};

/// As few samples of such a set as are enough for several steps, and too many for the caches of a core.
data::DatasetShape enough_to_measure(data::DatasetShape shape, std::size_t step_samples);

}  // namespace fcmnist::train
