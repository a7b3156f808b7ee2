#pragma once

#include <memory>
#include <optional>

#include "setup/context.hpp"
#include "store/checkpoint.hpp"
#include "store/model_dir.hpp"
#include "store/model_dir_lock.hpp"

namespace fcmnist::setup {

/// Where a training run begins.
struct StartPoint {
  std::optional<store::Checkpoint> checkpoint;  ///< on rank 0; nothing: initial weights
  bool weights_only = false;                    ///< pretrained: step 0, fresh optimizer state

  /// The checkpoint of a run that goes on; nullptr if the run is a new one, and on all ranks but 0.
  [[nodiscard]] const store::Checkpoint* run_that_goes_on() const {
    return checkpoint && !weights_only ? &*checkpoint : nullptr;
  }
};

/// Where a run in this model_dir begins. Writes nothing and locks nothing. For rank 0.
///   - a model_dir with checkpoints continues from its newest intact one, whose configuration must agree
///   - else --checkpoint_path, as a whole or (--is_pretrained_checkpoint) its weights only
///   - --restart ignores the checkpoints of the model_dir
/// `now`: the manifest of this run, to compare with that of the checkpoint. Throws StoreError, UsageError.
StartPoint find_start_point(const config::CommandLine& arguments, const config::RunConfig& config,
                            const store::Manifest& now, Logger& log);

/// The newest checkpoint of a model_dir that is intact; each damaged one is named in a warning. Nothing if
/// there are none; StoreError if there are some and all are damaged. For rank 0.
std::optional<store::Checkpoint> newest_intact_checkpoint(const store::ModelDir& model_dir, Logger& log);

/// A start point, and rank 0's hold on its model_dir.
struct LockedStart {
  std::unique_ptr<store::ModelDirLock> lock;  ///< on rank 0
  StartPoint point;
};
/// Makes and locks the model_dir, and finds the start point. Collective; all ranks throw the same StoreError,
/// InUseError, UsageError.
LockedStart lock_start_point(const Context& context);

}  // namespace fcmnist::setup
