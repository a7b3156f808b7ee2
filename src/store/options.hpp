#pragma once

namespace fcmnist::store {

struct CheckpointOptions {
  bool save_initial_checkpoint = false;
  long checkpoint_steps = 0;  ///< save every so many steps; 0: save only at the end
  double checkpoint_interval_s =
      0.0;                           ///< save when the last checkpoint is so old; 0: its age does not matter
  double metrics_interval_s = 30.0;  ///< replace the metrics file at log lines, this time apart at least
  int keep_checkpoints = 3;  ///< keep so many newest ones (at least 2) and the one with the best validation

  bool operator==(const CheckpointOptions&) const = default;
};

}  // namespace fcmnist::store
