#pragma once

#include "comm/topology.hpp"
#include "core/log.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::setup {

/// Sizes of the split that `input` names. If it is missing, one rank of the world fetches it first; one rank
/// of each node reads the headers. Collective; all ranks throw the same DataError.
data::DatasetShape find_dataset(const comm::Topology& topology, const data::InputOptions& input, Logger& log);

/// Images and labels of that split, read by one rank of each node. `shape` is what find_dataset() returned.
/// Collective; all ranks throw the same DataError. `topology` must outlive the data.
train::SharedDataset read_dataset(const comm::Topology& topology, const data::InputOptions& input,
                                  const data::DatasetShape& shape, int num_classes);

}  // namespace fcmnist::setup
