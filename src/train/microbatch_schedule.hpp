#pragma once

#include <algorithm>
#include <cstddef>
#include <ranges>

namespace fcmnist::train {

enum class Pass { forward, backward };

/// One thing that a stage does.
struct MicrobatchAction {
  Pass pass = Pass::forward;
  std::size_t microbatch = 0;  ///< index among those of its replica in the step
  bool operator==(const MicrobatchAction&) const = default;
};

/// Microbatches that have gone forward and not yet backward on a stage, at most.
constexpr std::size_t most_in_flight(int stages, int stage) {
  return static_cast<std::size_t>(stages - stage);
}

/// What a stage does in a step of `count` microbatches, in order: "one forward, one backward" (1F1B). As many
/// forwards as there are stages behind it, so that the last stage begins as soon as it can; then forward and
/// backward in turn; then the backwards that are left. With one stage F0 B0 F1 B1 ...
///
/// Every stage does both of each microbatch once, in order, and none waits for what comes later elsewhere.
/// All gradients are of the same weights: a step ends when all microbatches are through (a flush), which
/// leaves each stage idle for (stages - 1) / (count + stages - 1) of it, the bubble.
/// Source: Narayanan et al., "Memory-efficient pipeline-parallel DNN training" (PipeDream-Flush), ICML 2021.
inline auto microbatch_schedule(int stages, int stage, std::size_t count) {
  const std::size_t ahead = std::min(most_in_flight(stages, stage) - 1, count);
  const auto action = [=](std::size_t i) -> MicrobatchAction {
    if (i < ahead) return {Pass::forward, i};
    const std::size_t turn = i - ahead, in_turns = 2 * (count - ahead);
    if (turn >= in_turns) return {Pass::backward, count - ahead + (turn - in_turns)};
    if (turn % 2 == 0) return {Pass::forward, ahead + turn / 2};
    return {Pass::backward, turn / 2};
  };
  return std::views::iota(std::size_t{0}, 2 * count) | std::views::transform(action);
}

}  // namespace fcmnist::train
