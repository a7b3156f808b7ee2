#include "train/pipeline_makespan.hpp"

#include <algorithm>
#include <iterator>

namespace fcmnist::train {

namespace {

/// How far a stage is.
struct Progress {
  std::vector<MicrobatchAction> actions;
  std::size_t next = 0;            ///< action
  double free_s = 0.0;             ///< the end of the last one
  std::vector<double> forwards_s;  ///< the end of each
  std::vector<double> deltas_s;
};

/// When what the next action of stage s needs has arrived; nothing if it has not been computed.
const double* arrival(std::span<const Progress> stages, std::size_t s) {
  static constexpr double at_once = 0.0;
  const MicrobatchAction action = stages[s].actions[stages[s].next];
  const bool is_forward = action.pass == Pass::forward;
  if (is_forward ? s == 0 : s + 1 == stages.size()) return &at_once;
  const std::vector<double>& sent = is_forward ? stages[s - 1].forwards_s : stages[s + 1].deltas_s;
  return action.microbatch < sent.size() ? &sent[action.microbatch] : nullptr;
}

}  // namespace

double pipeline_makespan(std::span<const StageTimes> stages, std::size_t count, double message_s) {
  std::vector<Progress> progress(stages.size());
  for (std::size_t s = 0; s < stages.size(); ++s) {
    std::ranges::copy(microbatch_schedule(static_cast<int>(stages.size()), static_cast<int>(s), count),
                      std::back_inserter(progress[s].actions));
  }
  for (bool moves = true; moves;) {
    moves = false;
    for (std::size_t s = 0; s < stages.size(); ++s) {
      Progress& stage = progress[s];
      while (stage.next < stage.actions.size()) {
        const double* ready_s = arrival(progress, s);
        if (ready_s == nullptr) break;
        const double begin_s = std::max(stage.free_s, *ready_s);
        if (stage.actions[stage.next++].pass == Pass::forward) {
          stage.free_s = begin_s + stages[s].forward_s;
          stage.forwards_s.push_back(stage.free_s + message_s);
        } else {
          stage.deltas_s.push_back(begin_s + stages[s].deltas_s + message_s);
          stage.free_s = begin_s + stages[s].deltas_s + stages[s].weights_s;
        }
        moves = true;
      }
    }
  }
  return std::ranges::max(progress, {}, &Progress::free_s).free_s;
}

}  // namespace fcmnist::train
