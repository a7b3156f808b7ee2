#pragma once

#include <cstdint>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "data/dataset.hpp"

namespace fcmnist::train {

/// Random images and labels of the shape of real ones, to measure with: one copy per node, as in training.
class MadeUpData {
 public:
  /// Collective.
  ///   shape         of the real data
  ///   step_samples  of one step: there are enough samples that steps find them in no cache of a core
  MadeUpData(const comm::Topology& topology, const data::DatasetShape& shape, std::size_t step_samples,
             int num_classes);
  [[nodiscard]] data::Dataset view() const;

 private:
  data::DatasetShape shape_;
  int num_classes_;
  comm::SharedArray<std::uint8_t> images_;
  comm::SharedArray<std::uint8_t> labels_;
};

}  // namespace fcmnist::train
