#pragma once

namespace fcmnist::store {

struct CheckpointOptions {
  bool save_initial_checkpoint = false;
  long checkpoint_steps = 0;  ///< save every so many steps; 0 = only at the end
  int keep_checkpoints = 3;   ///< newest ones kept (2 or more), besides the one of the best test accuracy

  bool operator==(const CheckpointOptions&) const = default;
};

}  // namespace fcmnist::store
