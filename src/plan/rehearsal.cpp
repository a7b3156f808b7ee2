#include "plan/rehearsal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "comm/clock.hpp"
#include "data/epoch_plan.hpp"
#include "optim/update.hpp"
#include "plan/made_up_data.hpp"
#include "train/microbatches.hpp"
#include "train/model_state.hpp"
#include "train/trainer.hpp"

namespace fcmnist::plan {

namespace {

constexpr double round_s = 0.15;
constexpr int most_rounds = 5;

config::RunConfig standing_still(config::RunConfig config) {
  config.train_input.validation_size = 0;  // the made-up data are few
  config.optimizer.learning_rate = {{optim::ScheduleKind::constant, 0.0}};
  return config;
}

/// Means over several steps in a row.
struct Round {
  double step_s = 0.0;
  train::TimeSplit time;
  train::PipelineTime pipeline;
};

Round time_steps(const comm::Communicator& world, train::Trainer& trainer, int steps) {
  Round round;
  world.barrier();
  const double begin_s = comm::now_s();
  for (int i = 0; i < steps; ++i) {
    const train::StepResult step = trainer.step();
    round.time += step.time;
    round.pipeline += step.pipeline;
  }
  round.step_s = world.max(comm::now_s() - begin_s) / steps;
  round.time = round.time.divided_by(steps);
  round.pipeline = round.pipeline.divided_by(steps);
  return round;
}

/// About how long a step takes. The first step does not count, since it touches all memory.
double estimate_step_s(const comm::Communicator& world, train::Trainer& trainer) {
  int steps = 1;
  double step_s = time_steps(world, trainer, steps).step_s;
  do {
    steps *= 2;
    step_s = time_steps(world, trainer, steps).step_s;
  } while (steps * step_s < round_s);
  return step_s;
}

/// The round of median speed.
Round median_round(const comm::Communicator& world, train::Trainer& trainer) {
  const double step_s = estimate_step_s(world, trainer);
  const int steps = std::max(1, static_cast<int>(round_s / step_s));
  const int rounds = std::clamp(static_cast<int>(most_rounds * round_s / (steps * step_s)), 1, most_rounds);
  std::vector<Round> all;
  for (int round = 0; round < rounds; ++round) all.push_back(time_steps(world, trainer, steps));
  const auto middle = all.begin() + rounds / 2;
  std::ranges::nth_element(all, middle, {}, &Round::step_s);
  return *middle;
}

}  // namespace

Rehearsed rehearse(const config::RunConfig& real_config, const comm::Grid& grid,
                   const data::DatasetShape& shape, std::span<const model::LayerRange> stages,
                   const model::GemmChoice& gemms, bool give_way) {
  const config::RunConfig config = standing_still(real_config);
  const model::Mlp mlp(model::widths_of(config.model, shape.features()), config.model, gemms,
                       stages[static_cast<std::size_t>(grid.stage())]);
  const std::size_t step_samples = train::step_batch(config, grid.replicas());
  const train::SharedDataset data =
      made_up_data(grid.world(), enough_to_measure(shape, step_samples), config.model);
  const data::Dataset view = data.view();
  const bool has_full_steps = view.samples() >= step_samples;
  const data::EpochPlan epochs(view.samples(), step_samples, has_full_steps);
  train::ModelState state(grid, mlp, optim::state_arrays(config.optimizer));
  state.initialize(config.run.seed);
  train::Trainer trainer(config, grid, view, epochs, mlp, state, std::numeric_limits<std::int64_t>::max(),
                         give_way);
  const Round median = median_round(grid.world().world(), trainer);
  return {median.step_s, median.time, median.pipeline};
}

}  // namespace fcmnist::plan
