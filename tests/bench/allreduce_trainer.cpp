#include "bench/allreduce_trainer.hpp"

#include "bench/plain_allreduce.hpp"
#include "bench/problem.hpp"
#include "optim/update.hpp"

namespace fcmnist::bench {

AllreduceTrainer::AllreduceTrainer(const Bench& bench, const config::RunConfig& config)
    : world_(&bench.world()),
      optimizer_(config.optimizer),
      mlp_(mlp_of(config)),
      local_step_(bench, config, mlp_),
      weights_(mlp_.layout()),
      momentum_buffer_(mlp_.layout()),
      local_(mlp_.layout().size() + 1),
      total_(local_.size()) {
  mlp_.initialize(config.run.seed, weights_.view());
}

double AllreduceTrainer::step() {
  const std::size_t parameters = mlp_.layout().size();
  const ArenaView<float> gradient(mlp_.layout(), local_.data());
  local_.data()[parameters] = static_cast<float>(local_step_.run(weights_.view(), gradient).loss);
  plain_allreduce(*world_, {local_.data(), local_.size()}, {total_.data(), total_.size()});
  const float* const sources[] = {total_.data()};
  const std::span<float> state[] = {momentum_buffer_.view().all()};
  optim::update_weights(optimizer_, {optimizer_.learning_rate.front().initial_learning_rate}, sources,
                        weights_.view().all(), state);
  return total_.data()[parameters] / static_cast<double>(local_step_.samples_per_step());
}

}  // namespace fcmnist::bench
