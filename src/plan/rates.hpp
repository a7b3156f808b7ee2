#pragma once

#include "comm/topology.hpp"
#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "model/mlp.hpp"
#include "plan/forecast.hpp"
#include "plan/mapping.hpp"

namespace fcmnist::plan {

/// What a microbatch of this many samples takes on a stage: medians, while this process computes nothing else
/// for about `seconds`.
///   topology  of this process alone
///   mlp       the layers of the stage
///   nodes     that have ranks of it, on which the parts of its gradient depend
StageTime measure_stage(const config::RunConfig& config, const comm::Topology& topology,
                        const model::Mlp& mlp, int nodes, const data::Dataset& dataset, std::size_t samples,
                        double seconds);

/// How fast this process computes its part of a mapping that is planned for other ranks too: each stage's
/// microbatch by itself, then the passes over a gradient; half a second or so. What one process cannot
/// measure, messages and waits, is assumed: see between_nodes_assumed.
///   topology  of this process alone
Rates measure_rates(const config::RunConfig& config, const Mapping& mapping, const data::DatasetShape& shape,
                    const comm::Topology& topology);

/// 10 Gbit/s Ethernet.
constexpr LinkRate between_nodes_assumed = {1.25e9, 20e-6};

}  // namespace fcmnist::plan
