#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "store/metrics_rows.hpp"

namespace fcmnist::run {

/// What a validation has said of the weights of a step.
struct Score {
  std::int64_t step = 0;
  double accuracy = 0.0;
  double loss = 0.0;
};

/// More accurate, or as accurate with a loss that is smaller by one part in ten thousand at least: less may be
/// rounding, which depends on the world.
bool is_better(const Score& one, const Score& other);

std::vector<Score> scores_of(std::span<const store::EvalRow> validations);

/// The best of the scores whose steps have a checkpoint; of equal ones the first. Nothing if there is none.
///   checkpoints  steps, in increasing order
std::optional<std::int64_t> best_step(std::span<const Score> scores,
                                      std::span<const std::int64_t> checkpoints);

/// The best validation of a run so far, and how many came after it. It can be sent as it lies in memory.
class BestScore {
 public:
  void add(const Score& score);
  /// The first one that was as good as this.
  [[nodiscard]] const std::optional<Score>& best() const { return best_; }
  [[nodiscard]] bool is_of(std::int64_t step) const { return best_ && best_->step == step; }
  /// Whether so many validations have not been better. Never with 0.
  [[nodiscard]] bool has_lasted(int patience) const { return patience > 0 && worse_since_ >= patience; }

 private:
  std::optional<Score> best_;
  std::int64_t worse_since_ = 0;
};

/// Of all validations of a run, in the order of their steps.
BestScore best_of(std::span<const store::EvalRow> validations);

}  // namespace fcmnist::run
