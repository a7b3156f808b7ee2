#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/error.hpp"
#include "setup/context.hpp"
#include "store/checkpoint.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::run {

/// The checkpoints to score, read by rank 0 one after the other; the other ranks follow its count. In the mode eval_all
/// all of the model_dir, else the one that is given, or the newest intact one.
class CheckpointQueue {
 public:
  /// Collective; all ranks throw the same StoreError if there are none. The context must outlive it.
  explicit CheckpointQueue(const setup::Context& context);

  /// Advances to the next intact checkpoint. Collective; the same answer on every rank.
  bool next();
  /// On rank 0 the checkpoint, elsewhere nullptr.
  [[nodiscard]] const store::Checkpoint* current() const { return current_ ? &*current_ : nullptr; }

 private:
  std::optional<store::Checkpoint> read(std::int64_t step);

  const setup::Context* context_;
  store::ModelDir model_dir_;
  std::vector<std::int64_t> steps_;
  std::size_t next_ = 0;
  std::optional<store::Checkpoint> single_, current_;
};

/// What is said when there is nothing to score.
StoreError no_checkpoint(const store::ModelDir& model_dir);

}  // namespace fcmnist::run
