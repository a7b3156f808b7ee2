#pragma once

namespace fcmnist::store {

struct CheckpointOptions {
  bool save_initial_checkpoint = false;
  long checkpoint_steps = 0;           ///< save every so many steps; 0 = only at the end
  double checkpoint_interval_s = 0.0;  ///< save when the last one is so old; 0 = never for that reason
  int keep_checkpoints = 3;  ///< newest ones kept, at least 2, besides the one with the best test accuracy

  bool operator==(const CheckpointOptions&) const = default;
};

}  // namespace fcmnist::store
