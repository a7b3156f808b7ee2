#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bench/bench.hpp"
#include "bench/local_step.hpp"
#include "bench/problem.hpp"
#include "comm/gradient_exchange.hpp"
#include "optim/sgd.hpp"
#include "train/model_state.hpp"

namespace fcmnist::bench {

namespace {

enum class Weights { shared, own_copy };

/// Training in which ranks read the node's weights, as in train::Trainer, or each its own copy of them, in
/// memory that no other core writes to.
class ReplicaTrainer {
 public:
  ReplicaTrainer(const Bench& bench, const config::RunConfig& config, Weights kind)
      : kind_(kind),
        optimizer_(config.optimizer),
        mlp_(mlp_of(config)),
        local_step_(bench, config, mlp_),
        exchange_(*bench.topology, mlp_.layout(), {{0, mlp_.layout().size()}}, 1, config.comm,
                  bench.give_way),
        state_(*bench.topology, mlp_),
        own_weights_(mlp_.layout()) {
    state_.initialize(config.run.seed);
    mlp_.initialize(config.run.seed, own_weights_.view());
    for (std::size_t b = 0; b < exchange_.blocks().size(); ++b) {
      if (!std::ranges::binary_search(exchange_.owned(), b)) of_others_.push_back(exchange_.blocks()[b]);
    }
  }

  void step() {
    const ArenaView<float> gradient = exchange_.local_gradient();
    const std::array loss = {local_step_.run(weights(), gradient).loss};
    exchange_.begin(loss);
    exchange_.post();
    exchange_.finish();
    for (const std::size_t b : exchange_.owned()) {
      const Block& block = exchange_.blocks()[b];
      optim::sgd_update(optimizer_, {optimizer_.learning_rate.front().initial_learning_rate},
                        exchange_.sources(block), weights().block(block),
                        state_.momentum_buffer().block(block));
      if (kind_ == Weights::own_copy) copy(own_weights_.view(), state_.weights(), block);
    }
    exchange_.publish();
    if (kind_ == Weights::shared) return;
    for (const Block& block : of_others_) copy(state_.weights(), own_weights_.view(), block);
  }

 private:
  [[nodiscard]] ArenaView<float> weights() const {
    return kind_ == Weights::shared ? state_.weights() : own_weights_.view();
  }
  static void copy(ArenaView<const float> from, ArenaView<float> to, const Block& block) {
    std::ranges::copy(from.block(block), to.block(block).begin());
  }

  Weights kind_;
  optim::OptimizerOptions optimizer_;
  model::Mlp mlp_;
  LocalStep local_step_;
  comm::GradientExchange exchange_;
  train::ModelState state_;
  Arena<float> own_weights_;
  std::vector<Block> of_others_;
};

double measure_replica(const Bench& bench, int batch, benchmark::State& state) {
  const config::RunConfig config = config_of(bench, models().front(), batch);
  ReplicaTrainer shared(bench, config, Weights::shared), own_copy(bench, config, Weights::own_copy);
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
