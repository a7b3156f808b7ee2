#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/plan_file.hpp"
#include "config/run_config.hpp"
#include "data/epoch_plan.hpp"
#include "model/mlp.hpp"
#include "setup/arithmetic.hpp"
#include "setup/context.hpp"
#include "setup/start_point.hpp"
#include "store/manifest.hpp"
#include "store/model_dir_lock.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::setup {

/// What the caller is going to do with a training run.
enum class Intent {
  train,    ///< locks the model_dir, fetches data that are missing, follows a plan
  compile,  ///< the same, but follows no plan, since it makes one
  /// Says how the run would be: writes, locks and fetches nothing, and may be about a world that is planned.
  /// It checks the memory itself, after it has said how much the run needs.
  validate,
};

/// A training run before its first step: everything that it depends on, constant from here on.
struct Settled {
  /// As it was given, but the precision, the loss scaling and exchange_streams are those in effect.
  const config::RunConfig config;
  const Arithmetic arithmetic;
  const std::unique_ptr<store::ModelDirLock> lock;  ///< on rank 0; nullptr for Intent::validate
  const StartPoint start;
  const train::Shapes shapes;
  const std::optional<config::Plan> plan;  ///< in effect; nothing: the configuration decides
  const std::vector<model::LayerRange>
      stages;                        ///< the layers of each, in the world that is planned if one is
  const model::Mlp mlp;              ///< the layers of this rank's stage
  const data::EpochPlan epoch_plan;  ///< the samples of each step
  const std::int64_t total_steps;    ///< of the whole run
  const store::Manifest manifest;    ///< what every file of the run says about it
  const std::string config_yaml;     ///< the same, in the keys of a configuration file
};

/// Settles a training run, in the only order that there is: start point (and lock), arithmetic, data sets,
/// plan in effect, model, epoch plan, memory. Collective; all ranks throw the same errors. The context must
/// outlive what is settled.
Settled settle(const Context& context, Intent intent);

/// Throws CommError unless what the run keeps in shared memory fits, before any of it is made. Collective;
/// the same error on all ranks. `config`, `shapes` and `mlp` are those of a Settled.
void check_memory(const Context& context, const config::RunConfig& config, const train::Shapes& shapes,
                  const model::Mlp& mlp);

}  // namespace fcmnist::setup
