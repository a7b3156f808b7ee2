#pragma once

#include <optional>
#include <span>
#include <string>

#include "config/plan_file.hpp"
#include "data/dataset.hpp"
#include "train/run_context.hpp"
#include "train/start_point.hpp"

namespace fcmnist::train {

// The plan of a run: where it comes from, and whether it holds on this world.

struct NamedPlan {
  std::string name;  ///< for messages
  config::Plan plan;
};

/// The plan that runconfig.plan names; nothing if it names none, or with "auto" the model_dir has none.
/// Collective; all ranks throw the same UsageError when it cannot be read.
std::optional<NamedPlan> read_given_plan(const RunContext& context);

/// What a plan must have been made for to hold in this run. Collective; the same on every rank.
config::PlanTarget plan_target(const RunContext& context, const data::DatasetShape& train_shape);

/// The plan in effect: that of the checkpoint which the run goes on from, else the given one, if they hold
/// here; of one that does not, one line of the log says why. From here on the manifest and
/// config.comm.exchange_streams are those of the plan. Collective.
std::optional<config::Plan> settle_plan(RunContext& context, const StartPoint& start,
                                        const std::optional<NamedPlan>& given,
                                        const config::PlanTarget& here);

/// "onednn; exchange_streams 2; stages begin at layers [0, 2]"
std::string describe(const config::Plan& plan);

/// "openblas", or of several libraries the one of most products and the others: "onednn, but openblas for
/// layer 0 forward, layer 2 delta".
std::string describe_libraries(std::span<const model::LayerGemms> gemm);

}  // namespace fcmnist::train
