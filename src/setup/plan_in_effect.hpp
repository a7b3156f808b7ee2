#pragma once

#include <optional>
#include <span>
#include <string>

#include "config/plan_file.hpp"
#include "core/error.hpp"
#include "data/dataset.hpp"
#include "setup/context.hpp"
#include "setup/start_point.hpp"

namespace fcmnist::setup {

// The plan of a run: where it comes from, and whether it holds on this world.

struct NamedPlan {
  std::string name;  ///< for messages
  config::Plan plan;
};

/// What runconfig.plan names.
struct GivenPlan {
  std::optional<NamedPlan> plan;    ///< nothing if it names none, or with "auto" the model_dir has none
  std::optional<Error> unreadable;  ///< instead of it
};
/// Collective. A plan that cannot be read is a UsageError on all ranks; but where the model_dir has
/// checkpoints, with plans of their own perhaps, settle_plan() decides what it is.
GivenPlan read_given_plan(const RunContext& context);

/// What a plan must have been made for to hold in this run. Collective; the same on every rank.
config::PlanTarget plan_target(const RunContext& context, const data::DatasetShape& train_shape);

/// The plan in effect: that of the checkpoint which the run goes on from, else the given one, if they hold
/// here; of one that does not, one line of the log says why. From here on config.comm.exchange_streams is
/// that of the plan, and the manifest has the libraries, and the plan as it was made: that of the checkpoint
/// stays there also when it does not hold here, for a resume where it does. Collective; all ranks throw the
/// same UsageError when no plan holds and the given one cannot be read.
std::optional<config::Plan> settle_plan(RunContext& context, const StartPoint& start, const GivenPlan& given,
                                        const config::PlanTarget& here);

/// "onednn; exchange_streams 2; stages begin at layers [0, 2]", "no library to choose"
std::string describe(const config::Plan& plan);

/// "openblas", or of several libraries the one of most products and the others: "onednn, but openblas for
/// layer 0 forward, layer 2 delta".
std::string describe_libraries(std::span<const model::LayerGemms> gemm);

}  // namespace fcmnist::setup
