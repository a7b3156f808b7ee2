#include "config/run_config.hpp"

namespace fcmnist::config {

RunConfig::RunConfig() {
  eval_input.split = data::Split::test;
  eval_input.shuffle = false;
  run.num_epochs = 10;
}

}  // namespace fcmnist::config
