#pragma once

#include <optional>
#include <span>
#include <string>

#include "config/plan_file.hpp"
#include "core/error.hpp"
#include "data/dataset.hpp"
#include "kernels/half_support.hpp"
#include "kernels/options.hpp"
#include "model/options.hpp"
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
  std::optional<Error> unreadable;  ///< why there is no plan although it names one
};
/// Collective. A plan that cannot be read is a UsageError on all ranks. But where the model_dir has
/// checkpoints, which may have plans of their own, it is `unreadable`, and settle_plan() decides.
GivenPlan read_given_plan(const Context& context);

/// What a plan must have been made for to hold in this run. Collective; the same on every rank.
///   config  with the precision that is settled
config::PlanTarget plan_target(const Context& context, const config::RunConfig& config,
                               kernels::HalfCompute half_compute, const data::DatasetShape& train_shape);

/// The plan that a run follows.
struct PlanInEffect {
  std::optional<config::Plan> plan;  ///< what of it holds here; nothing: the configuration decides
  /// The plan as it was made, for the manifest. That of a checkpoint stays there also when it does not hold
  /// here, for a resume where it does.
  std::optional<config::Plan> recorded;
};

/// The plan in effect: that of the checkpoint of a run that goes on, else the given one, if they hold `here`.
/// If one does not hold, a line of the log says why. Collective; all ranks throw the same UsageError when no
/// plan holds and the given one cannot be read.
PlanInEffect settle_plan(const Context& context, const StartPoint& start, const GivenPlan& given,
                         const config::PlanTarget& here);

/// The plan in effect of a world that is not there, which is none: whether the given plan holds, only that
/// world could tell. Throws UsageError on all ranks if it cannot be read.
PlanInEffect settle_plan_elsewhere(const Context& context, const GivenPlan& given);

/// Adds the libraries that multiply, where there are several to choose from, and the plan as it was made.
void add_to_manifest(const PlanInEffect& found, kernels::HalfCompute half_compute,
                     kernels::GemmBackend unplanned, store::Manifest& manifest);
/// Warns when other libraries multiply than before the checkpoint.
void warn_of_other_libraries(const store::Manifest& checkpointed, const store::Manifest& now, Logger& log);

/// "onednn; exchange_streams 2; stages begin at layers [0, 2]", "no library to choose"
std::string describe(const config::Plan& plan);

/// "openblas"; of several libraries first the one of most products, then the others: "onednn, but openblas for
/// layer 0 forward, layer 2 delta".
std::string describe_libraries(std::span<const model::LayerGemms> gemm);

}  // namespace fcmnist::setup
