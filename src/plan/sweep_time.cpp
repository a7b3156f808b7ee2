#include "plan/sweep_time.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace fcmnist::plan {

namespace {

/// Of the steps up to `end_step`, begun after `begin_step`.
double seconds_between(const TrialWork& trial, std::int64_t begin_step, std::int64_t end_step) {
  const std::int64_t steps =
      std::min(end_step, trial.to_step) - std::max({begin_step, trial.from_step, std::int64_t{0}});
  return static_cast<double>(std::max(steps, std::int64_t{0})) * trial.step_s;
}

/// When the last group is done. The group that is free first takes the next trial.
double seconds_side_by_side(std::span<const double> trial_s, std::size_t groups) {
  std::vector<double> free_at_s(groups, 0.0);
  std::vector<std::size_t> next_own(groups);
  for (std::size_t group = 0; group < groups; ++group) next_own[group] = group;
  std::vector<bool> is_taken(trial_s.size(), false);
  for (std::size_t left = trial_s.size(); left > 0; --left) {
    const auto group = static_cast<std::size_t>(std::ranges::min_element(free_at_s) - free_at_s.begin());
    std::size_t& own = next_own[group];
    while (own < trial_s.size() && is_taken[own]) own += groups;
    std::size_t trial = own;
    if (trial >= trial_s.size()) {
      trial = trial_s.size() - 1;
      while (is_taken[trial]) --trial;
    }
    is_taken[trial] = true;
    free_at_s[group] += trial_s[trial];
  }
  return std::ranges::max(free_at_s);
}

}  // namespace

double sweep_seconds(std::span<const TrialWork> trials, std::size_t all, int groups,
                     std::span<const long> rungs, int reduction_factor) {
  std::vector<TrialWork> going_on(trials.begin(), trials.end());
  std::vector<std::int64_t> ends(rungs.begin(), rungs.end());
  std::int64_t last = 0;
  for (const TrialWork& trial : trials) last = std::max(last, trial.to_step);
  ends.push_back(last);
  double all_s = 0.0;
  std::int64_t begin = 0;
  for (std::size_t rung = 0; rung < ends.size(); ++rung) {
    std::vector<double> trial_s;
    for (const TrialWork& trial : going_on) trial_s.push_back(seconds_between(trial, begin, ends[rung]));
    if (!trial_s.empty()) all_s += seconds_side_by_side(trial_s, static_cast<std::size_t>(groups));
    begin = ends[rung];
    if (rung >= rungs.size()) break;
    const auto factor = static_cast<std::size_t>(reduction_factor);
    all = (all + factor - 1) / factor;  // that go on; fewer than these may have ended already
    const std::size_t kept = std::min(going_on.size(), all);
    std::vector<TrialWork> best;
    for (std::size_t i = 0; i < kept; ++i)
      best.push_back(going_on[(2 * i + 1) * going_on.size() / (2 * kept)]);
    going_on = std::move(best);
  }
  return all_s;
}

}  // namespace fcmnist::plan
