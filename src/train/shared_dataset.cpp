#include "train/shared_dataset.hpp"

#include "comm/communicator.hpp"

namespace fcmnist::train {

SharedDataset::SharedDataset(const comm::Topology& topology, const data::DatasetShape& shape, int num_classes,
                             const Fill& fill)
    : shape_(shape),
      num_classes_(num_classes),
      images_(topology.node(), shape.image_bytes()),
      labels_(topology.node(), shape.samples) {
  comm::collectively(topology.world(), [&] {
    if (topology.is_leader()) fill(images_.all(), labels_.all());
  });
}

data::Dataset SharedDataset::view() const {
  return data::make_dataset(shape_, num_classes_, images_.all(), labels_.all());
}

}  // namespace fcmnist::train
