#pragma once

#include <span>

#include "comm/topology.hpp"
#include "config/run_config.hpp"
#include "store/manifest.hpp"

namespace fcmnist::train {

/// What this run was: versions, build, hosts, world and its stages, BLAS kernels, seed. Written to every HDF5 file.
store::Manifest make_manifest(const config::RunConfig& config, std::span<const comm::RankPlacement> ranks,
                              int stages);

}  // namespace fcmnist::train
