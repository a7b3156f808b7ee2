#include "setup/settle.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "model/layer_placement.hpp"
#include "setup/datasets.hpp"
#include "train/gradient_sum.hpp"
#include "train/microbatches.hpp"
#include "train/model_state.hpp"
#include "train/shared_dataset.hpp"
#include "train/stage_placement.hpp"
#include "train/window_bytes.hpp"

namespace fcmnist::setup {

std::int64_t training_length(const config::RunOptions& run, std::uint64_t steps_per_epoch) {
  const std::int64_t by_epochs = run.num_epochs * static_cast<std::int64_t>(steps_per_epoch);
  if (run.max_steps == 0) return by_epochs;
  return run.num_epochs == 0 ? run.max_steps : std::min<std::int64_t>(run.max_steps, by_epochs);
}

train::Shapes find_datasets(const RunContext& context) {
  train::Shapes shapes{find_dataset(context.topology, context.config.train_input, *context.log), {}};
  if (context.config.run.mode != config::Mode::train_and_eval) return shapes;
  shapes.eval = find_dataset(context.topology, context.config.eval_input, *context.log);
  comm::collectively(context.world(), [&] {
    if (shapes.eval->features() == shapes.train.features()) return;
    throw DataError(fmt::format("images to train on: {}; images to evaluate on: {}",
                                data::to_string(shapes.train), data::to_string(*shapes.eval)),
                    "train_input.data_dir and eval_input.data_dir must hold images of one size");
  });
  return shapes;
}

data::EpochPlan make_plan(const RunContext& context, const data::DatasetShape& shape) {
  std::optional<data::EpochPlan> plan;
  comm::collectively(context.world(), [&] {
    plan.emplace(shape.samples, train::step_batch(context.config, context.replicas()),
                 context.config.train_input.drop_last_batch,
                 static_cast<std::uint64_t>(context.config.run.steps_per_epoch));
  });
  return *plan;
}

model::Mlp make_stage(const RunContext& context, std::size_t features,
                      const std::optional<config::Plan>& plan) {
  const auto widths = model::widths_of(context.config.model, features);
  const std::vector<double> costs = model::layer_costs(widths);
  const comm::Grid& grid = context.grid();
  const auto stages = train::place_stages(widths, grid.stages(), plan);
  model::Mlp mlp(widths, context.config.model, train::gemms_of(context.config, plan),
                 stages[static_cast<std::size_t>(grid.stage())]);
  context.log->info("model: {} parameters in {} layers", mlp.network_layout().parameter_count(),
                    costs.size());
  if (context.config.run.execution == config::Execution::layer_pipelined) {
    context.log->info("{}", train::describe_stages(costs, stages, grid.replicas()));
    if (grid.stages() == 1 && context.world().size() > 1 && context.config.run.pipeline_stages == 0) {
      context.log->warn(
          "pipeline_stages auto: one stage, so no pipeline: no number above 1 divides the {} ranks "
          "and gives each stage one of the {} layers",
          context.world().size(), costs.size());
    }
  }
  return mlp;
}

void check_memory(const RunContext& context, const train::Shapes& shapes, const model::Mlp& mlp) {
  const comm::Grid& grid = context.grid();
  const comm::Seat seat = grid.of_stage().seat();
  std::size_t bytes = 0;
  if (seat.node_ranks > 1) {
    bytes = train::window_bytes_of_rank(context.config, grid.replicas(), grid.stages(),
                                        context.topology.node_count(), seat, mlp.layout());
  }
  if (context.topology.is_leader()) bytes += train::shared_bytes_of_node(shapes);
  comm::check_shared_memory(context.topology, bytes);
}

}  // namespace fcmnist::setup
