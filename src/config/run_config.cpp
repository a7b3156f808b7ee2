#include "config/run_config.hpp"

namespace fcmnist::config {

RunConfig::RunConfig() {
  eval_input.split = data::Split::test;
  eval_input.shuffle = false;
  run.num_epochs = 10;
}

int layer_count(const RunConfig& config) { return static_cast<int>(config.model.hidden_sizes.size()) + 1; }

std::size_t microbatch_size(const RunConfig& config) {
  constexpr std::size_t reproducible_default = 64;
  if (config.run.microbatch > 0) return static_cast<std::size_t>(config.run.microbatch);
  return config.run.reproducible ? reproducible_default : 0;
}

RunConfig built_in_experiment() {
  using optim::ScheduleKind;
  RunConfig config;
  config.train_input.augment = {.shift = 1.8, .rotation = 12.0, .scale = 0.15, .shear = 0.2, .elastic = 1.5};
  config.model.mixed_precision = false;
  config.optimizer.learning_rate = {{ScheduleKind::linear, 0.0, 0.1, 1.0, 300},
                                    {ScheduleKind::cosine, 0.1, 0.0, 1.0, 0}};
  config.optimizer.momentum = 0.9;
  config.optimizer.use_nesterov = true;
  config.optimizer.weight_decay_rate = 2e-4;
  config.optimizer.exclude_from_weight_decay = {"bias"};
  config.optimizer.loss_scale.factor = 1.0;
  config.run.num_epochs = 40;
  config.run.eval_frequency = 469;  // an epoch
  config.checkpoint.checkpoint_steps = 2345;
  return config;
}

}  // namespace fcmnist::config
