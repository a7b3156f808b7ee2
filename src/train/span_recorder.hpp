#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "store/trace_file.hpp"

namespace fcmnist::train {

/// What a rank does, one after the other: in a step, and from `check` on between steps.
enum class Activity : std::uint8_t {
  data,             ///< gathers and normalises samples
  receive,          ///< waits for a message of a neighbour stage
  forward,          ///< forward pass
  loss,             ///< the loss, and the gradient by the logits
  send,             ///< hands a message to a neighbour stage
  delta,            ///< backward pass, first half
  weight_gradient,  ///< backward pass, second half
  post,             ///< hands over a part of the gradient, and moves messages on
  wait,             ///< waits for the gradients of the ranks of its node
  combine,          ///< waits for the sums of other nodes and stages
  sum,              ///< sums the gradient when its norm must be known before the update; sums norms
  update,           ///< updates the weights of its blocks
  publish,          ///< waits until the other ranks of its node have updated theirs
  copy,             ///< takes the weights of the other ranks
  check,            ///< compares the weights of the replicas
  files,            ///< writes metrics and checkpoints
  evaluation,       ///< scores the weights
  count
};

/// As traces name them.
std::span<const std::string_view> activity_names();

/// Collects what one rank does, with the times at which each activity began and ended.
class SpanRecorder {
 public:
  /// Instead of the number of a layer or microbatch.
  static constexpr std::int64_t none = -1;
  /// Shorter spans are left out, unless they are of a layer or an update: an activity that had nothing to do.
  static constexpr double shortest_s = 2e-7;

  ///   most_spans  that are kept; later ones are left out
  SpanRecorder(int rank, std::size_t most_spans);

  /// What follows belongs to this step.
  void set_step(std::int64_t step) { step_ = step; }
  void add(Activity activity, double begin_s, double end_s, std::int64_t microbatch = none,
           std::int64_t layer = none);
  [[nodiscard]] std::span<const store::Span> spans() const { return spans_; }
  /// The last step of which all spans are kept.
  [[nodiscard]] std::int64_t last_whole_step() const { return is_full_ ? spans_.back().step - 1 : step_; }

 private:
  std::int32_t rank_;
  std::size_t most_spans_;
  std::int64_t step_ = 0;
  bool is_full_ = false;
  std::vector<store::Span> spans_;
};

}  // namespace fcmnist::train
