#include <fmt/format.h>

#include <array>

#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "comm/placement.hpp"
#include "optim/update.hpp"
#include "train/model_state.hpp"
#include "train/replica_check.hpp"

namespace fcmnist::bench {

namespace {

/// One comparison of all replicas, as train::TrainingRun makes it, from the moment when all ranks are there.
double measure_check(const Bench& bench, const Model& model) {
  const model::Mlp mlp = mlp_of(config_of(bench, model, 64));
  const comm::Grid grid(*bench.topology);
  train::ModelState state(grid, mlp, optim::state_arrays({}));
  state.initialize(1);
  const auto placement = comm::gather_placement(*bench.topology);
  const auto check = [&] { train::check_replicas(grid, state, 0, placement); };
  const std::array parts = {in_a_row(bench.world(), check)};
  return time_in_turn(bench.world(), bench.settings, parts).seconds(0);
}

}  // namespace

void add_check(const Bench& bench) {
  for (const Model& model : models()) {
    add(fmt::format("check/{}", model.name),
        [&bench, &model](benchmark::State&) { return measure_check(bench, model); });
  }
}

}  // namespace fcmnist::bench
