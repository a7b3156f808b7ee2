// What the same bits in any world cost.

#include <fmt/format.h>

#include <array>

#include "bench/bench.hpp"
#include "bench/problem.hpp"

namespace fcmnist::bench {

namespace {

double measure_reproducible(const Bench& bench, const Model& model, int batch, int microbatch,
                            benchmark::State& state) {
  const config::RunConfig fast = config_of(bench, model, batch);
  config::RunConfig reproducible = fast;
  reproducible.run.reproducible = true;
  reproducible.run.microbatch = microbatch;
  Training fast_training(bench, fast), training(bench, reproducible);

  enum Part : std::size_t { ours, without };
  const std::array parts = {training.steps(), fast_training.steps()};
  const Timings timings = time_in_turn(bench.world(), bench.settings, parts);
  const auto samples_per_s = [&](Part part) { return batch * bench.world().size() / timings.seconds(part); };
  state.counters["samples_per_s"] = samples_per_s(ours);
  state.counters["fast_samples_per_s"] = samples_per_s(without);
  state.counters["cost"] = timings.ratio(ours, without);
  return timings.seconds(ours);
}

}  // namespace

void add_reproducible(const Bench& bench) {
  for (const Model& model : models()) {
    for (const int batch : {64, 256}) {
      for (int microbatch = 16; microbatch <= batch; microbatch *= 2) {
        add(fmt::format("reproducible/{}/{}/{}", model.name, batch, microbatch),
            [&bench, &model, batch, microbatch](benchmark::State& state) {
              return measure_reproducible(bench, model, batch, microbatch, state);
            });
      }
    }
  }
}

}  // namespace fcmnist::bench
