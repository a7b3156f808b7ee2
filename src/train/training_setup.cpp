#include "train/training_setup.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "model/layer_placement.hpp"
#include "train/gradient_sum.hpp"
#include "train/microbatches.hpp"
#include "train/model_state.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::train {

std::int64_t training_length(const config::RunOptions& run, std::uint64_t steps_per_epoch) {
  const std::int64_t by_epochs = run.num_epochs * static_cast<std::int64_t>(steps_per_epoch);
  if (run.max_steps == 0) return by_epochs;
  return run.num_epochs == 0 ? run.max_steps : std::min<std::int64_t>(run.max_steps, by_epochs);
}

Shapes find_datasets(const RunContext& context) {
  Shapes shapes{find_dataset(context.topology, context.config.train_input, *context.log), {}};
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
    plan.emplace(shape.samples, step_batch(context.config, context.replicas()),
                 context.config.train_input.drop_last_batch,
                 static_cast<std::uint64_t>(context.config.run.steps_per_epoch));
  });
  return *plan;
}

std::vector<model::LayerRange> place_stages(std::span<const std::size_t> widths, int stages,
                                            const std::optional<config::Plan>& plan) {
  if (plan && !plan->first_layers.empty()) return model::stages_from(plan->first_layers, widths.size() - 1);
  return model::place_layers(model::layer_costs(widths), static_cast<std::size_t>(stages));
}

model::GemmChoice gemms_of(const config::RunConfig& config, const std::optional<config::Plan>& plan) {
  return plan && !plan->gemm.empty() ? model::GemmChoice(plan->gemm) : model::GemmChoice(config.kernels.gemm);
}

model::Mlp make_stage(const RunContext& context, std::size_t features,
                      const std::optional<config::Plan>& plan) {
  const auto widths = model::widths_of(context.config.model, features);
  const std::vector<double> costs = model::layer_costs(widths);
  const comm::Grid& grid = context.grid();
  const auto stages = place_stages(widths, grid.stages(), plan);
  model::Mlp mlp(widths, context.config.model, gemms_of(context.config, plan),
                 stages[static_cast<std::size_t>(grid.stage())]);
  context.log->info("model: {} parameters in {} layers", mlp.network_layout().parameter_count(),
                    costs.size());
  if (context.config.run.execution == config::Execution::layer_pipelined) {
    context.log->info("{}", describe_stages(costs, stages, grid.replicas()));
    if (grid.stages() == 1 && context.world().size() > 1 && context.config.run.pipeline_stages == 0) {
      context.log->warn(
          "pipeline_stages auto: one stage, so no pipeline: no number above 1 divides the {} ranks "
          "and gives each stage one of the {} layers",
          context.world().size(), costs.size());
    }
  }
  return mlp;
}

std::string first_to_last(const char* one, const char* several, std::size_t first, std::size_t last) {
  return first == last ? fmt::format("{} {}", one, first) : fmt::format("{} {}-{}", several, first, last);
}

std::string describe_stages(std::span<const double> costs, std::span<const model::LayerRange> stages,
                            int replicas) {
  std::string text = fmt::format("pipeline: {} stage{} x {} replica{}", stages.size(),
                                 stages.size() == 1 ? "" : "s", replicas, replicas == 1 ? "" : "s");
  const auto ranks = static_cast<std::size_t>(replicas);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    text += fmt::format("; stage {}: {}, {:.0f} % of the work, {}", s,
                        first_to_last("layer", "layers", stages[s].begin, stages[s].end - 1),
                        100.0 * model::share_of_cost(costs, stages[s]),
                        first_to_last("rank", "ranks", s * ranks, (s + 1) * ranks - 1));
  }
  return text;
}

std::size_t window_bytes_of_rank(const config::RunConfig& config, int replicas, int stages, int nodes,
                                 const comm::Seat& seat, const Layout& layout) {
  constexpr std::size_t small_windows_bytes = std::size_t{64} << 10;  // a rank's barrier, page rounding
  const std::size_t microbatches =
      training_microbatches(config, replicas, stages).most(step_batch(config, replicas));
  return small_windows_bytes +
         gradient_sum_bytes_per_rank(config.run.reproducible, microbatches, nodes, seat, layout) +
         (seat.is_leader ? ModelState::shared_bytes(seat, layout, config.model.precision) : 0);
}

std::size_t shared_bytes_of_node(const Shapes& shapes) {
  constexpr std::size_t mpi_overhead_bytes = std::size_t{1} << 20;  // headers of Open MPI
  return mpi_overhead_bytes + SharedDataset::bytes(shapes.train) +
         (shapes.eval ? SharedDataset::bytes(*shapes.eval) : 0);
}

void check_memory(const RunContext& context, const Shapes& shapes, const model::Mlp& mlp) {
  const comm::Grid& grid = context.grid();
  const comm::Seat seat = grid.of_stage().seat();
  std::size_t bytes = 0;
  if (seat.node_ranks > 1) {
    bytes = window_bytes_of_rank(context.config, grid.replicas(), grid.stages(),
                                 context.topology.node_count(), seat, mlp.layout());
  }
  if (context.topology.is_leader()) bytes += shared_bytes_of_node(shapes);
  comm::check_shared_memory(context.topology, bytes);
}

}  // namespace fcmnist::train
