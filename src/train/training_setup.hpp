#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/plan_file.hpp"
#include "core/layout.hpp"
#include "data/dataset.hpp"
#include "data/epoch_plan.hpp"
#include "model/mlp.hpp"
#include "train/run_context.hpp"

namespace fcmnist::train {

// What is settled before a training run takes memory. All of it collective.

/// The data sets that the mode needs; the second only when it is evaluated.
struct Shapes {
  data::DatasetShape train;
  std::optional<data::DatasetShape> eval;
};
Shapes find_datasets(const RunContext& context);

data::EpochPlan make_plan(const RunContext& context, const data::DatasetShape& shape);

/// Steps of the whole run.
std::int64_t training_length(const config::RunOptions& run, std::uint64_t steps_per_epoch);

/// The layers of each stage: those of the plan, if there is one with stages, else by their FLOPs.
std::vector<model::LayerRange> place_stages(std::span<const std::size_t> widths, int stages,
                                            const std::optional<config::Plan>& plan = {});
/// The libraries of the plan, or the one of runconfig.gemm.
model::GemmChoice gemms_of(const config::RunConfig& config, const std::optional<config::Plan>& plan);

/// The layers of this rank's stage, by the plan if there is one; the log says what the model is, and where
/// its layers are.
model::Mlp make_stage(const RunContext& context, std::size_t features,
                      const std::optional<config::Plan>& plan);

/// "layer 0" or "layers 1-2".
std::string first_to_last(const char* one, const char* several, std::size_t first, std::size_t last);

/// "pipeline: 2 stages x 2 replicas; stage 0: layer 0, 63 % of the work, ranks 0-1; stage 1: ..."
std::string describe_stages(std::span<const double> costs, std::span<const model::LayerRange> stages,
                            int replicas);

/// Bytes of shared memory that a rank allocates for its stage, and a node for the data of all its ranks.
///   nodes  of the world
///   seat   among the ranks of its stage
std::size_t window_bytes_of_rank(const config::RunConfig& config, int replicas, int stages, int nodes,
                                 const comm::Seat& seat, const Layout& layout);
std::size_t shared_bytes_of_node(const Shapes& shapes);

/// Everything that lives in shared memory must fit, before any of it is made.
void check_memory(const RunContext& context, const Shapes& shapes, const model::Mlp& mlp);

}  // namespace fcmnist::train
