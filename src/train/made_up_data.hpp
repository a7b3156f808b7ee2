#pragma once

#include <cstdint>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "data/dataset.hpp"

namespace fcmnist::train {

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
