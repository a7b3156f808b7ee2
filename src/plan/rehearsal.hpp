#pragma once

#include <cstddef>
#include <span>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "model/mlp.hpp"
#include "train/step_time.hpp"

namespace fcmnist::plan {

/// How long a step of training takes in this world.
struct Rehearsed {
  double step_s = 0.0;           ///< seconds on the slowest rank
  train::TimeSplit time;         ///< where the time of this rank went
  train::PipelineTime pipeline;  ///< where the time of this rank's replica went
};

/// Times real steps on made-up data, on all ranks at once, so that caches, memory and cores are shared as in
/// training. Takes about a second, or a few steps of a large model. The learning rate is 0, so that training on
/// noise cannot diverge. Collective.
///   shape   shape of the real data
///   stages  the layers of each stage
///   gemms   libraries of the products
Rehearsed rehearse(const config::RunConfig& config, const comm::Grid& grid, const data::DatasetShape& shape,
                   std::span<const model::LayerRange> stages, const model::GemmChoice& gemms, bool give_way);

}  // namespace fcmnist::plan
