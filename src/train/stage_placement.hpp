#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/plan_file.hpp"
#include "config/run_config.hpp"
#include "model/mlp.hpp"

namespace fcmnist::train {

/// The layers of each stage: those of the plan, if there is one with stages, else by their FLOPs.
std::vector<model::LayerRange> place_stages(std::span<const std::size_t> widths, int stages,
                                            const std::optional<config::Plan>& plan = {});
/// The libraries of the plan, or the one of runconfig.gemm.
model::GemmChoice gemms_of(const config::RunConfig& config, const std::optional<config::Plan>& plan);

/// "pipeline: 2 stages x 2 replicas; stage 0: layer 0, 63 % of the work, ranks 0-1; stage 1: ..."
std::string describe_stages(std::span<const double> costs, std::span<const model::LayerRange> stages,
                            int replicas);

}  // namespace fcmnist::train
