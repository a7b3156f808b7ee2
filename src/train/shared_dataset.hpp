#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "data/dataset.hpp"

namespace fcmnist::train {

/// Sizes of the data sets that a training run needs.
struct Shapes {
  data::DatasetShape train;
  std::optional<data::DatasetShape> eval;  ///< only in the mode train_and_eval
};

/// Images and labels that the ranks of a node share: one copy per node, in a shared window.
class SharedDataset {
 public:
  /// Writes the samples of a data set: images (samples x rows x cols) and labels (samples).
  using Fill = std::function<void(std::span<std::uint8_t> images, std::span<std::uint8_t> labels)>;

  /// Calls `fill` on the first rank of each node. Collective; all ranks throw the same Error of `fill`.
  /// `topology` must outlive it.
  SharedDataset(const comm::Topology& topology, const data::DatasetShape& shape, int num_classes,
                const Fill& fill);

  [[nodiscard]] data::Dataset view() const;
  /// Shared memory that the node needs for it.
  static std::size_t bytes(const data::DatasetShape& shape) { return shape.image_bytes() + shape.samples; }

 private:
  data::DatasetShape shape_;
  int num_classes_;
  comm::SharedArray<std::uint8_t> images_;
  comm::SharedArray<std::uint8_t> labels_;
};

}  // namespace fcmnist::train
