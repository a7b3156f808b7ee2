#include "run/best_score.hpp"

#include <algorithm>

namespace fcmnist::run {

bool is_better(const Score& one, const Score& other) {
  if (one.accuracy != other.accuracy) return one.accuracy > other.accuracy;
  constexpr double more_than_rounding = 1e-4;
  return one.loss < other.loss * (1.0 - more_than_rounding);
}

std::vector<Score> scores_of(std::span<const store::EvalRow> validations) {
  std::vector<Score> scores;
  for (const store::EvalRow& row : validations) scores.push_back({row.step, row.accuracy, row.loss});
  return scores;
}

std::optional<std::int64_t> best_step(std::span<const Score> scores,
                                      std::span<const std::int64_t> checkpoints) {
  const Score* best = nullptr;
  for (const Score& score : scores) {
    if (!std::ranges::binary_search(checkpoints, score.step)) continue;
    if (best == nullptr || is_better(score, *best)) best = &score;
  }
  return best != nullptr ? std::optional(best->step) : std::nullopt;
}

void BestScore::add(const Score& score) {
  if (!best_ || is_better(score, *best_)) {
    best_ = score;
    worse_since_ = 0;
  } else {
    ++worse_since_;
  }
}

BestScore best_of(std::span<const store::EvalRow> validations) {
  BestScore best;
  for (const Score& score : scores_of(validations)) best.add(score);
  return best;
}

}  // namespace fcmnist::run
