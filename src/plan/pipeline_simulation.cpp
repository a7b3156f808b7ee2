#include "plan/pipeline_simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "train/microbatch_schedule.hpp"

namespace fcmnist::plan {

namespace {

constexpr double not_yet = -1.0;  // the time of what has not arrived

class Pipeline {
 public:
  Pipeline(std::span<const StageTime> stages, std::span<const double> link_s, std::size_t microbatches)
      : stages_(stages),
        link_s_(link_s),
        microbatches_(microbatches),
        arrivals_(stages.size(),
                  {std::vector<double>(microbatches, not_yet), std::vector<double>(microbatches, not_yet)}),
        actions_done_(stages.size(), 0),
        now_s_(stages.size(), 0.0) {
    // The samples and the gradient of the loss are where they are needed from the beginning.
    std::ranges::fill(arrivals_.front().activation_s, 0.0);
    std::ranges::fill(arrivals_.back().gradient_s, 0.0);
  }

  /// Each stage in turn goes on as far as its messages have arrived, until all stages are done. Returns when
  /// each of them is done.
  std::vector<double> run() {
    for (bool moves = true; moves;) {
      moves = false;
      for (std::size_t s = 0; s < stages_.size(); ++s) moves |= advance(s);
    }
    return now_s_;
  }

 private:
  /// When the messages for each microbatch arrive at a stage.
  struct Arrivals {
    std::vector<double> activation_s, gradient_s;
  };

  bool advance(std::size_t s) {
    const auto actions =
        train::microbatch_schedule(static_cast<int>(stages_.size()), static_cast<int>(s), microbatches_);
    const std::size_t done_before = actions_done_[s];
    for (; actions_done_[s] < 2 * microbatches_; ++actions_done_[s]) {
      const auto [pass, m] = actions[static_cast<std::ptrdiff_t>(actions_done_[s])];
      const bool is_forward = pass == train::Pass::forward;
      const double arrived_s = is_forward ? arrivals_[s].activation_s[m] : arrivals_[s].gradient_s[m];
      if (arrived_s == not_yet) break;
      now_s_[s] = std::max(now_s_[s], arrived_s);
      if (is_forward) {
        compute_forward(s, m);
      } else {
        compute_backward(s, m);
      }
    }
    return actions_done_[s] > done_before;
  }

  void compute_forward(std::size_t s, std::size_t m) {
    now_s_[s] += stages_[s].data_s + stages_[s].forward_s;
    if (s + 1 < stages_.size()) arrivals_[s + 1].activation_s[m] = now_s_[s] + link_s_[s];
  }

  /// The gradient by the input travels while those of the weights are computed.
  void compute_backward(std::size_t s, std::size_t m) {
    now_s_[s] += stages_[s].deltas_s;
    if (s > 0) arrivals_[s - 1].gradient_s[m] = now_s_[s] + link_s_[s - 1];
    now_s_[s] += stages_[s].weights_s;
  }

  std::span<const StageTime> stages_;
  std::span<const double> link_s_;
  std::size_t microbatches_;
  std::vector<Arrivals> arrivals_;         ///< one for each stage
  std::vector<std::size_t> actions_done_;  ///< actions of its schedule that each stage has done
  std::vector<double> now_s_;              ///< the clock of each stage
};

}  // namespace

PipelineForecast simulate_pipeline(std::span<const StageTime> stages, std::span<const double> link_s,
                                   std::size_t microbatches) {
  FCMNIST_CHECK(link_s.size() + 1 == stages.size(),
                fmt::format("{} links, {} stages", link_s.size(), stages.size()));
  PipelineForecast result;
  result.end_s = Pipeline(stages, link_s, microbatches).run();
  result.total_s = std::ranges::max(result.end_s);
  if (result.total_s == 0.0) return result;
  const double busy_s =
      std::accumulate(stages.begin(), stages.end(), 0.0, [&](double sum, const StageTime& time) {
        return sum + static_cast<double>(microbatches) * time.total_s();
      });
  const double available_s = static_cast<double>(stages.size()) * result.total_s;
  result.bubble_fraction = std::max(0.0, 1.0 - busy_s / available_s);
  return result;
}

}  // namespace fcmnist::plan
