#pragma once

#include <optional>

#include "setup/context.hpp"
#include "store/checkpoint.hpp"
#include "store/model_dir.hpp"
#include "store/model_dir_lock.hpp"

namespace fcmnist::setup {

/// The newest checkpoint of a model_dir that is intact; each damaged one is named in a warning. Nothing if
/// there are none; StoreError if there are some and all are damaged. For rank 0.
std::optional<store::Checkpoint> newest_intact_checkpoint(const store::ModelDir& model_dir, Logger& log);

/// Where a training run begins.
struct StartPoint {
  std::optional<store::Checkpoint> checkpoint;  ///< nothing: initial weights
  bool weights_only = false;                    ///< pretrained: step 0, fresh optimizer state
};

/// Where a run in this model_dir begins; nothing is written or locked. For rank 0. Throws StoreError,
/// UsageError.
StartPoint find_start_point(const RunContext& context, const store::ModelDir& model_dir);

/// Rank 0's hold on the model_dir of a training run, and where the run begins; empty on the other ranks.
///   - a model_dir with checkpoints continues from its newest intact one, whose configuration must agree
///   - else --checkpoint_path, as a whole or (--is_pretrained_checkpoint) its weights only
///   - --restart ignores the checkpoints of the model_dir
struct Start {
  /// Makes and locks the model_dir. Collective; all ranks throw the same StoreError, InUseError, UsageError.
  explicit Start(const RunContext& context);

  std::optional<store::ModelDirLock> lock;
  StartPoint point;
};

}  // namespace fcmnist::setup
