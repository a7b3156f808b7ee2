// Layers on stages, one for each rank, against one rank that has all of them.

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "plan/forecast.hpp"
#include "plan/rates.hpp"

namespace fcmnist::bench {

namespace {

/// Microbatches of a step, and the samples of each.
struct Shape {
  int count = 0;
  int samples = 0;
};

config::RunConfig one_rank_config(const Bench& bench, const Model& model, Shape shape) {
  config::RunConfig config = config_of(bench, model, shape.count * shape.samples);
  config.run.microbatch = shape.samples;
  return config;
}

/// What a microbatch takes on each stage, when all of them compute all the time. Collective; the same on
/// every rank.
std::vector<plan::StageTime> stage_times(const Bench& bench, const config::RunConfig& config) {
  constexpr std::array parts = {&plan::StageTime::data_s, &plan::StageTime::forward_s,
                                &plan::StageTime::deltas_s, &plan::StageTime::weights_s};
  const comm::Communicator& world = bench.world();
  const comm::Grid grid(*bench.topology, world.size());
  const model::Mlp mlp = stage_of(config, grid, config.kernels.gemm);
  const comm::Communicator alone = world.split(world.rank());
  const comm::Topology of_one(alone);
  world.barrier();
  const plan::StageTime mine =
      plan::measure_stage(config, of_one, mlp, 1, bench.dataset,
                          static_cast<std::size_t>(config.run.microbatch), bench.settings.min_time_s);
  std::vector<double> all(parts.size() * static_cast<std::size_t>(world.size()));
  for (std::size_t p = 0; p < parts.size(); ++p) {
    all[parts.size() * static_cast<std::size_t>(world.rank()) + p] = mine.*parts[p];
  }
  world.sum(all);
  std::vector<plan::StageTime> stages;
  for (std::size_t i = 0; i < all.size(); i += parts.size()) {
    stages.push_back({all[i], all[i + 1], all[i + 2], all[i + 3]});
  }
  return stages;
}

double measure_pipeline(const Bench& bench, const Model& model, Shape shape, benchmark::State& state) {
  const comm::Communicator& world = bench.world();
  const config::RunConfig on_one = one_rank_config(bench, model, shape);
  config::RunConfig config = on_one;
  config.run.execution = config::Execution::layer_pipelined;
  config.run.pipeline_stages = world.size();
  const comm::Communicator alone = world.split(world.rank());
  const comm::Topology topology(alone);
  const Bench one_rank{&topology, bench.settings, false, bench.dataset};
  Training pipeline(bench, config), whole(one_rank, on_one);

  enum Part : std::size_t { staged, on_one_rank };
  const auto only_rank_0 = [&] {
    if (world.rank() == 0) whole.step();
  };
  std::vector<double> allowed, with_early_sends;  // speed-ups, if messages were free
  const auto simulate = [&](int /*calls*/) {
    std::vector<plan::StageTime> stages = stage_times(bench, config);
    const auto count = static_cast<std::size_t>(shape.count);
    double serial_s = 0.0;
    for (const plan::StageTime& stage : stages) serial_s += shape.count * stage.total_s();
    const std::vector<double> free_messages(stages.size() - 1, 0.0);
    with_early_sends.push_back(serial_s / plan::simulate_pipeline(stages, free_messages, count).total_s);
    for (plan::StageTime& stage : stages) {
      stage.deltas_s += std::exchange(stage.weights_s, 0.0);
    }
    allowed.push_back(serial_s / plan::simulate_pipeline(stages, free_messages, count).total_s);
    return bench.settings.min_time_s;
  };
  const std::array<Timed, 3> parts = {pipeline.steps(), in_a_row(world, only_rank_0), simulate};
  const Timings timings = time_in_turn(world, bench.settings, parts);
  const double speed_up = timings.ratio(on_one_rank, staged);
  state.counters["one_rank_us"] = timings.seconds(on_one_rank) * 1e6;
  state.counters["speed_up"] = speed_up;
  // 1F1B as in the textbook, where a stage sends the gradient when its whole backward is done.
  state.counters["simulated_speed_up"] = median(allowed);
  state.counters["of_simulated"] = speed_up / median(allowed);
  state.counters["of_simulated_early_sends"] = speed_up / median(with_early_sends);
  return timings.seconds(staged);
}

}  // namespace

void add_pipeline(const Bench& bench) {
  static const Model large{"2500_2000_1500_1000_500", {2500, 2000, 1500, 1000, 500}};
  for (const Model& model : {models()[0], models()[1], large}) {
    if (bench.world().size() < 2 || bench.world().size() > static_cast<int>(model.hidden_sizes.size()) + 1)
      continue;
    for (const Shape shape : {Shape{4, 64}, Shape{8, 256}}) {
      add(fmt::format("pipeline/{}/{}/{}", model.name, shape.count, shape.samples),
          [&bench, model, shape](benchmark::State& state) {
            return measure_pipeline(bench, model, shape, state);
          });
    }
  }
}

}  // namespace fcmnist::bench
