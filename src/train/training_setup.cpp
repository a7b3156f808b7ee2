#include "train/training_setup.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
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
    plan.emplace(shape.samples, step_batch(context.config, context.world().size()),
                 context.config.train_input.drop_last_batch,
                 static_cast<std::uint64_t>(context.config.run.steps_per_epoch));
  });
  return *plan;
}

void check_memory(const RunContext& context, const Shapes& shapes, const model::Mlp& mlp) {
  constexpr std::size_t small_windows_bytes = std::size_t{64} << 10;  // a rank's barrier, page rounding
  constexpr std::size_t mpi_overhead_bytes = std::size_t{1} << 20;    // a node's headers of Open MPI
  std::size_t bytes =
      gradient_sum_bytes_per_rank(context.config.run.reproducible, context.topology, mlp.layout()) +
      small_windows_bytes;
  if (context.topology.is_leader()) {
    bytes += mpi_overhead_bytes + SharedDataset::bytes(shapes.train) +
             ModelState::shared_bytes(context.topology, mlp.layout());
    if (shapes.eval) bytes += SharedDataset::bytes(*shapes.eval);
  }
  comm::check_shared_memory(context.topology, bytes);
}

}  // namespace fcmnist::train
