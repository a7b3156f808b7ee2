#pragma once

#include "comm/topology.hpp"
#include "config/run_config.hpp"
#include "train/forecast.hpp"
#include "train/mapping.hpp"

namespace fcmnist::train {

/// How fast this process computes its part of a mapping that is planned for other ranks too: each stage's
/// microbatch by itself, then the passes over a gradient; half a second or so. What one process cannot
/// measure, messages and waits, is assumed: see between_nodes_assumed.
///   topology  of this process alone
Rates measure_rates(const config::RunConfig& config, const Mapping& mapping, const data::DatasetShape& shape,
                    const comm::Topology& topology);

/// 10 Gbit/s Ethernet.
constexpr LinkRate between_nodes_assumed = {1.25e9, 20e-6};

}  // namespace fcmnist::train
