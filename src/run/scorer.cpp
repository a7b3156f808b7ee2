#include "run/scorer.hpp"

#include <algorithm>
#include <cstddef>

#include "comm/host_memory.hpp"
#include "optim/update.hpp"
#include "setup/input_products.hpp"

namespace fcmnist::run {

namespace {

/// The grid, once it is clear that the weights fit into shared memory.
const comm::Grid& with_room(const setup::Context& context, const model::Mlp& mlp) {
  const comm::Topology& topology = context.topology();
  const std::size_t bytes =
      train::ModelState::shared_bytes(topology.seat(), mlp.layout(), mlp.precision(), 0);
  comm::check_shared_memory(topology, topology.is_leader() ? bytes : 0);
  return context.grid();
}

}  // namespace

Scorer::Scorer(const setup::Context& context, const config::RunConfig& config, const data::Dataset& dataset)
    : context_(&context),
      weights_(config.eval_input.weights),
      mlp_(model::widths_of(config.model, dataset.features()), config.model, config.kernels.gemm),
      state_(with_room(context, mlp_), mlp_, {}),
      evaluator_(config, context.grid(), dataset,
                 train::Evaluator::of_eval_input(config, context.grid().replicas(), dataset.samples()), mlp_,
                 state_, context.give_way()) {}

train::EvaluationResult Scorer::score(const store::Checkpoint* checkpoint, bool with_logits) {
  const bool of_average = checkpoint != nullptr && is_average_scored(weights_, *checkpoint);
  if (context_->world().broadcast(of_average, 0)) {
    state_.load_average(checkpoint);
  } else {
    state_.load_weights(checkpoint);
  }
  return evaluator_.evaluate(with_logits);
}

bool is_average_scored(data::ScoredWeights weights, const store::Checkpoint& checkpoint) {
  return weights == data::ScoredWeights::averaged &&
         std::ranges::binary_search(checkpoint.optimizer_arrays(), optim::weight_average);
}

config::RunConfig scoring_config(const comm::Communicator& world, config::RunConfig config,
                                 model::Precision precision, const store::Checkpoint* checkpoint) {
  config.model.precision = precision;
  const auto of_run = checkpoint == nullptr ? model::InputProducts::dense
                                            : setup::input_products_of(checkpoint->header().manifest);
  config.model.input_products = world.broadcast(of_run, 0);
  return config;
}

}  // namespace fcmnist::run
