#pragma once

#include <optional>

#include "store/checkpoint.hpp"
#include "store/model_dir.hpp"
#include "train/run_context.hpp"

namespace fcmnist::train {

/// The newest checkpoint of a model_dir that is intact; each damaged one is named in a warning. Nothing if
/// there are none; StoreError if there are some and all are damaged. For rank 0.
std::optional<store::Checkpoint> newest_intact_checkpoint(const store::ModelDir& model_dir, Logger& log);

/// Where a training run begins.
struct StartPoint {
  std::optional<store::Checkpoint> checkpoint;  ///< nothing: initial weights
  bool weights_only = false;                    ///< pretrained: step 0, fresh optimizer state
};

/// Decides where to begin, for rank 0:
///   - a model_dir with checkpoints continues from its newest intact one, whose configuration must agree
///   - else --checkpoint_path, as a whole or (--is_pretrained_checkpoint) its weights only
///   - --restart ignores the checkpoints of the model_dir
/// Throws StoreError, UsageError.
StartPoint find_start_point(const RunContext& context, const store::ModelDir& model_dir);

}  // namespace fcmnist::train
