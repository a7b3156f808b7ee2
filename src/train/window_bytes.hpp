#pragma once

#include <cstddef>

#include "comm/topology.hpp"
#include "config/run_config.hpp"
#include "core/layout.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::train {

/// Bytes of shared memory that a rank allocates for its stage, and a node for the data of all its ranks.
///   nodes  of the world
///   seat   among the ranks of its stage
std::size_t window_bytes_of_rank(const config::RunConfig& config, int replicas, int stages, int nodes,
                                 const comm::Seat& seat, const Layout& layout);
std::size_t shared_bytes_of_node(const Shapes& shapes);

}  // namespace fcmnist::train
