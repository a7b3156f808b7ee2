#include "train/span_recorder.hpp"

#include <algorithm>
#include <array>

namespace fcmnist::train {

std::span<const std::string_view> activity_names() {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Activity::count)> names = {
      "data",    "receive", "forward", "loss",    "send", "delta", "weight_gradient", "post",      "wait",
      "combine", "sum",     "update",  "publish", "copy", "check", "files",           "evaluation"};
  static_assert(std::ranges::none_of(names, &std::string_view::empty));
  return names;
}

SpanRecorder::SpanRecorder(int rank, std::size_t most_spans) : rank_(rank), most_spans_(most_spans) {
  constexpr std::size_t usual_spans = 1 << 14;
  spans_.reserve(std::min(most_spans, usual_spans));
}

void SpanRecorder::add(Activity activity, double begin_s, double end_s, std::int64_t microbatch,
                       std::int64_t layer) {
  // An update is there in each step, also where a rank owns little or nothing.
  const bool did_nothing = layer == none && activity != Activity::update && end_s - begin_s < shortest_s;
  if (did_nothing || is_full_) return;
  if (spans_.size() == most_spans_) {
    is_full_ = true;
    return;
  }
  spans_.push_back({.begin_s = begin_s,
                    .end_s = end_s,
                    .step = step_,
                    .rank = rank_,
                    .microbatch = static_cast<std::int32_t>(microbatch),
                    .layer = static_cast<std::int16_t>(layer),
                    .activity = static_cast<std::uint8_t>(activity)});
}

}  // namespace fcmnist::train
