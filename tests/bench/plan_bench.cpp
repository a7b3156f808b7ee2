// What --compile_only gains: training with the plan that it finds against training by the configuration.

#include <fmt/format.h>

#include <array>

#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "plan/plan_search.hpp"

namespace fcmnist::bench {

namespace {

double measure_plan(const Bench& bench, const Model& model, int batch, benchmark::State& state) {
  const config::RunConfig config = config_of(bench, model, batch);
  const comm::Grid grid(*bench.topology);
  const config::Plan plan =
      plan::search_plan(config, grid, model::widths_of(config.model, bench.dataset.features()),
                        static_cast<std::size_t>(batch), kernels::HalfCompute::emulated, bench.give_way)
          .plan;
  config::RunConfig planned = config;
  if (plan.exchange_streams > 0) planned.comm.exchange_streams = plan.exchange_streams;
  Training by_configuration(bench, config), by_plan(bench, planned, model::GemmChoice(plan.gemm));

  const std::array parts = {by_configuration.steps(), by_plan.steps()};
  const Timings timings = time_in_turn(bench.world(), bench.settings, parts);
  const int samples = batch * bench.world().size();
  state.counters["samples_per_s"] = samples / timings.seconds(0);
  state.counters["plan_samples_per_s"] = samples / timings.seconds(1);
  state.counters["speed_up"] = timings.ratio(0, 1);
  return timings.seconds(1);
}

}  // namespace

void add_plan(const Bench& bench) {
  for (const Model& model : models()) {
    for (const int batch : {16, 64, 256, 1024}) {
      add(fmt::format("plan/{}/{}", model.name, batch), [&bench, &model, batch](benchmark::State& state) {
        return measure_plan(bench, model, batch, state);
      });
    }
  }
}

}  // namespace fcmnist::bench
