#pragma once

#include <cstddef>
#include <vector>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "model/mlp.hpp"

namespace fcmnist::plan {

/// Times the exchange of a gradient that is already written, with as many streams between the nodes as each of
/// `streams` says, in turn. Collective over the world.
///   mlp  the layers of this rank's stage
/// Returns seconds by streams and round.
std::vector<std::vector<double>> time_exchanges(const config::RunConfig& config, const comm::Grid& grid,
                                                const model::Mlp& mlp, const std::vector<int>& streams,
                                                bool give_way);

/// Shared memory that this rank's node needs for it.
///   count  how many numbers of streams are compared
std::size_t exchange_timing_bytes(const config::RunConfig& config, const comm::Grid& grid,
                                  const model::Mlp& mlp, std::size_t count);

}  // namespace fcmnist::plan
