#pragma once

#include <cstddef>

#include "comm/topology.hpp"
#include "data/dataset.hpp"
#include "model/options.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::plan {

/// Random images and labels to measure with: one copy per node, as in training. For a model that multiplies only pixels
/// that are not zero, as many are zero as in MNIST. Collective. `topology` must outlive them.
train::SharedDataset made_up_data(const comm::Topology& topology, const data::DatasetShape& shape,
                                  const model::MlpOptions& model);

/// The shape of a smaller set to measure with. It has enough samples for several steps, and too many for the
/// caches of a core.
data::DatasetShape enough_to_measure(data::DatasetShape shape, std::size_t step_samples);

}  // namespace fcmnist::plan
