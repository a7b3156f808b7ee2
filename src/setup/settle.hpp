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
#include "setup/context.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::setup {

// What is settled before a training run takes memory. All of it collective.

train::Shapes find_datasets(const RunContext& context);

data::EpochPlan make_plan(const RunContext& context, const data::DatasetShape& shape);

/// Steps of the whole run.
std::int64_t training_length(const config::RunOptions& run, std::uint64_t steps_per_epoch);

/// The layers of this rank's stage, by the plan if there is one; the log says what the model is, and where
/// its layers are.
model::Mlp make_stage(const RunContext& context, std::size_t features,
                      const std::optional<config::Plan>& plan);

/// Everything that lives in shared memory must fit, before any of it is made.
void check_memory(const RunContext& context, const train::Shapes& shapes, const model::Mlp& mlp);

}  // namespace fcmnist::setup
