#include "bench/problem.hpp"

#include <algorithm>
#include <limits>

#include "config/relations.hpp"
#include "model/layer_placement.hpp"
#include "optim/update.hpp"

namespace fcmnist::bench {

namespace {

double median_of(const std::vector<train::TimeSplit>& splits, double train::TimeSplit::*part) {
  std::vector<double> values(splits.size());
  std::ranges::transform(splits, values.begin(), part);
  return median(std::move(values));
}

}  // namespace

const std::vector<Model>& models() {
  static const std::vector<Model> all = {{"500_300", {500, 300}}, {"10x50", std::vector<int>(10, 50)}};
  return all;
}

config::RunConfig config_of(const Bench& bench, const Model& model, int batch_per_rank) {
  config::RunConfig config;
  config.kernels.gemm = bench.settings.gemm;
  config.comm.exchange_streams = bench.settings.exchange_streams;
  config.model.hidden_sizes = model.hidden_sizes;
  if (model.hidden_sizes.front() >= model::least_sparse_units) {
    config.model.input_products = model::InputProducts::sparse;  // as a run on MNIST settles it
  }
  // Small enough that training on noise goes on for ever: it neither diverges nor comes to an end.
  config.optimizer.learning_rate = {{optim::ScheduleKind::constant, 0.001}};
  config.optimizer.momentum = 0.9;
  config.train_input.batch_size_per_replica = batch_per_rank;
  config.train_input.drop_last_batch = true;  // all steps are alike
  return config;
}

model::Mlp mlp_of(const config::RunConfig& config) {
  return model::Mlp(model::widths_of(config.model, mnist_shape.features()), config.model,
                    config.kernels.gemm);
}

model::Mlp stage_of(const config::RunConfig& config, const comm::Grid& grid, const model::GemmChoice& gemms) {
  const auto widths = model::widths_of(config.model, mnist_shape.features());
  const auto stages =
      model::place_layers(model::layer_costs(widths), static_cast<std::size_t>(grid.stages()));
  return {widths, config.model, gemms, stages[static_cast<std::size_t>(grid.stage())]};
}

Training::Training(const Bench& bench, const config::RunConfig& config, const model::GemmChoice& gemms)
    : world_(&bench.world()),
      config_(config),
      grid_(*bench.topology, config::stages_of(config, bench.world().size())),
      mlp_(stage_of(config, grid_, gemms)),
      plan_(bench.dataset.samples(), train::step_batch(config, grid_.replicas()),
            config.train_input.drop_last_batch),
      state_(grid_, mlp_, optim::state_arrays(config.optimizer)),
      trainer_(config_, grid_, bench.dataset, plan_, mlp_, state_, std::numeric_limits<std::int64_t>::max(),
               bench.give_way) {
  state_.initialize(config_.run.seed);
}

Timed Training::steps() {
  return in_a_row(*world_, [this] { splits_.push_back(trainer_.step().time); });
}

Timed Training::exchange() {
  return [this](int calls) {
    std::vector<double> seconds;
    for (int i = 0; i < calls; ++i) seconds.push_back(trainer_.step().time.exchange_s);
    return calls * median(std::move(seconds));
  };
}

train::TimeSplit Training::median_split() const {
  return {.data_s = median_of(splits_, &train::TimeSplit::data_s),
          .compute_s = median_of(splits_, &train::TimeSplit::compute_s),
          .exchange_s = median_of(splits_, &train::TimeSplit::exchange_s)};
}

}  // namespace fcmnist::bench
