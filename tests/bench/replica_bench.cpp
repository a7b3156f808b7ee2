#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bench/allreduce_trainer.hpp"
#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "comm/gradient_exchange.hpp"
#include "comm/grid.hpp"
#include "optim/update.hpp"
#include "train/model_state.hpp"

namespace fcmnist::bench {

namespace {

enum class Weights { one_per_node, one_per_rank };

/// Training in which every rank has its own copy of the weights, as in train::Trainer, or reads one that the
/// node shares: nothing is copied, but the owner of a block writes lines that other cores have read.
class ReplicaTrainer {
 public:
  ReplicaTrainer(const Bench& bench, const config::RunConfig& config, Weights kind)
      : kind_(kind),
        optimizer_(config.optimizer),
        grid_(*bench.topology),
        mlp_(mlp_of(config)),
        local_step_(bench, config, mlp_),
        exchange_(*bench.topology, mlp_.layout(), {{0, mlp_.layout().size()}}, 1, config.comm,
                  bench.give_way),
        state_(grid_, mlp_, optim::state_arrays(config.optimizer)),
        shared_weights_(bench.topology->node(), mlp_.layout().size()) {
    state_.initialize(config.run.seed);
    if (bench.topology->is_leader())
      mlp_.initialize(config.run.seed, {mlp_.layout(), shared_weights_.data()});
    bench.world().barrier();
  }

  void step() {
    const std::array loss = {local_step_.run(weights(), exchange_.local_gradient()).loss};
    exchange_.begin(loss);
    exchange_.post();
    exchange_.wait_for_node();
    exchange_.finish();
    const bool own = kind_ == Weights::one_per_rank;
    for (const std::size_t b : exchange_.owned()) {
      const Block& block = exchange_.blocks()[b];
      const std::span<float> momentum[] = {state_.optimizer_arrays()[0].values.block(block)};
      optim::update_weights(optimizer_, {optimizer_.learning_rate.front().initial_learning_rate},
                            exchange_.sources(block), weights().block(block), momentum);
      if (own) state_.publish(block);
    }
    exchange_.publish();
    if (!own) return;
    for (const std::size_t b : exchange_.owned_by_others()) state_.take(exchange_.blocks()[b]);
  }

 private:
  [[nodiscard]] ArenaView<float> weights() const {
    if (kind_ == Weights::one_per_rank) return state_.weights();
    return {mlp_.layout(), shared_weights_.data()};
  }

  Weights kind_;
  optim::OptimizerOptions optimizer_;
  comm::Grid grid_;
  model::Mlp mlp_;
  LocalStep local_step_;
  comm::GradientExchange<float> exchange_;
  train::ModelState state_;
  comm::SharedArray<float> shared_weights_;
};

double measure_replica(const Bench& bench, int batch, benchmark::State& state) {
  config::RunConfig config = config_of(bench, models().front(), batch);
  config.model.input_products = model::InputProducts::dense;  // all that LocalStep knows
  ReplicaTrainer shared(bench, config, Weights::one_per_node), own_copy(bench, config, Weights::one_per_rank);
  const std::array parts = {in_a_row(bench.world(), [&shared] { shared.step(); }),
                            in_a_row(bench.world(), [&own_copy] { own_copy.step(); })};
  const Timings timings = time_in_turn(bench.world(), bench.settings, parts);
  state.counters["own_copy_of_shared"] = timings.ratio(1, 0);
  return timings.seconds(0);
}

}  // namespace

void add_replica(const Bench& bench) {
  for (const int batch : {64, 256}) {
    add(fmt::format("replica/{}", batch),
        [&bench, batch](benchmark::State& state) { return measure_replica(bench, batch, state); });
  }
}

}  // namespace fcmnist::bench
