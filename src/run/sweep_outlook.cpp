#include "run/sweep_outlook.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/load.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "plan/sweep_time.hpp"
#include "run/sweep_dir.hpp"
#include "run/sweep_group.hpp"
#include "run/training_outlook.hpp"
#include "setup/datasets.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::run {

namespace {

/// Keys whose value changes what is learned, but not how long a step takes.
constexpr const char* timeless_keys[] = {"runconfig.seed", "optimizer.learning_rate",
                                         "optimizer.weight_decay_rate", "optimizer.momentum",
                                         "model.label_smoothing"};

/// A trial as its folder says.
struct Standing {
  std::optional<store::TrialState> ended;  ///< nothing: it is to be trained
  std::int64_t steps = 0;                  ///< of its newest checkpoint
};

/// What a group finds out about a trial.
struct Finding {
  bool would_fail = false;
  TrainingOutlook outlook;
};

/// What a trial has in common with those that take as long.
std::string work_of(const config::SweepOptions& sweep, long trial) {
  std::vector<config::Override> settings = config::trial_settings(sweep, trial);
  std::erase_if(settings, [](const config::Override& setting) {
    return std::ranges::find(timeless_keys, setting.key) != std::end(timeless_keys);
  });
  return describe(settings);
}

std::vector<Standing> standings_of(const setup::Context& context, const SweepDir& directory) {
  std::vector<Standing> standings(static_cast<std::size_t>(context.sweep()->trial_count()));
  setup::on_root(
      context.world(),
      [&] {
        for (std::size_t i = 0; i < standings.size(); ++i) {
          const auto trial = static_cast<long>(i);
          const auto outcome = directory.outcome(trial);
          const bool is_tried_again = outcome && (outcome->state == store::TrialState::refused ||
                                                  outcome->state == store::TrialState::failed);
          if (outcome && !is_tried_again) standings[i].ended = outcome->state;
          const auto steps = store::ModelDir(directory.trial_dir(trial)).checkpoint_steps();
          if (!steps.empty()) standings[i].steps = std::ranges::max(steps);
        }
      },
      comm::long_work_s);
  context.world().broadcast(std::as_writable_bytes(std::span(standings)), 0);
  return standings;
}

/// The ranks that look at one trial at a time: those that would train it, or with a planned world the process that plans.
class Scout {
 public:
  explicit Scout(const setup::Context& context)
      : context_(&context),
        groups_(context.is_planned() ? 1 : groups_of(context)),
        number_(context.world().rank() * groups_ / context.world().size()),
        group_(context.world().split(number_)),
        log_(make_logger(context.arguments().logging, group_.rank() != 0)) {}

  /// The findings about these trials, on all ranks. All groups look at the same time, as they would train. Collective.
  [[nodiscard]] std::vector<Finding> look_at(const std::vector<long>& trials) const {
    std::vector<Finding> findings(trials.size());
    const auto groups = static_cast<std::size_t>(groups_);
    for (std::size_t first = 0; first < trials.size(); first += groups) {
      const std::size_t mine = first + static_cast<std::size_t>(number_);
      // A group without a trial keeps its cores as busy as the others.
      const bool is_repeated = mine >= trials.size();
      const Finding found = look_at(trials[mine % trials.size()], is_repeated);
      static_cast<void>(context_->world().min(0, comm::long_work_s));  // some groups take longer
      for (std::size_t i = first; i < std::min(first + groups, trials.size()); ++i) {
        const int first_rank = static_cast<int>(i - first) * group_.size();
        findings[i] = context_->world().broadcast(found, first_rank);
      }
    }
    return findings;
  }

 private:
  [[nodiscard]] config::CommandLine arguments_of_trial(long trial) const {
    config::CommandLine arguments = arguments_of(*context_, trial);
    if (!context_->is_planned()) return arguments;
    const int ranks = context_->sweep()->ranks_per_trial;
    const std::int64_t shares = std::int64_t{arguments.plan_nodes} * ranks;
    arguments.plan_nodes = static_cast<int>((shares + arguments.plan_ranks - 1) / arguments.plan_ranks);
    arguments.plan_ranks = ranks;
    return arguments;
  }

  [[nodiscard]] Finding look_at(long trial, bool is_repeated) const {
    const setup::Common common{.log = make_logger("error", true),
                               .shelf = nullptr,
                               .settings = context_->settings_file(),
                               .runs_on_node = trials_on_node(*context_)};
    // It is taken apart after the catch: while an exception is on its way, communicators are not freed.
    std::optional<setup::Context> context;
    try {
      context.emplace(group_, arguments_of_trial(trial), context_->started_s(), common);
      return {.would_fail = false, .outlook = describe_training(*context)};
    } catch (const Error& error) {
      if (!error.agreed()) throw;
      // An error of the ranks themselves ends the program; the world, where other groups do not know it.
      if (error.code() == ExitCode::communication) {
        if (groups_ == 1) throw;
        throw Error(error.code(), error.what());
      }
      if (!is_repeated) log_->warn("{} would not be trained: {}", SweepDir::trial_name(trial), error.what());
      return {.would_fail = true, .outlook = {}};
    }
  }

  const setup::Context* context_;
  int groups_;
  int number_;
  comm::Communicator group_;
  std::shared_ptr<Logger> log_;  ///< silent but on the first rank of each group
};

std::string text_of(const Standing& standing, const Finding& finding) {
  if (standing.ended) return store::trial_states[static_cast<std::size_t>(*standing.ended)];
  if (finding.would_fail) return "would not be trained";
  const TrainingOutlook& outlook = finding.outlook;
  const std::string steps =
      standing.steps > 0
          ? fmt::format("{} of {}", std::max<std::int64_t>(outlook.total_steps - standing.steps, 0),
                        outlook.total_steps)
          : fmt::format("{}", outlook.total_steps);
  return fmt::format("{} steps{}, {} on a rank, {} on a node", steps,
                     outlook.step_s ? " of " + time_text(*outlook.step_s) : "",
                     bytes_text(outlook.rank_bytes), bytes_text(outlook.shared_bytes));
}

/// The trials that are to be trained, by what they have in common with others that take as long.
std::map<std::string, std::vector<long>> open_trials(const config::SweepOptions& sweep,
                                                     std::span<const Standing> standings) {
  std::map<std::string, std::vector<long>> works;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    const auto trial = static_cast<long>(i);
    if (!standings[i].ended) works[work_of(sweep, trial)].push_back(trial);
  }
  return works;
}

/// By trial. Of those that take as long the first is looked at, and all where that one would fail: it may be its own fault.
std::vector<Finding> find_out(const setup::Context& context,
                              const std::map<std::string, std::vector<long>>& works, std::size_t trials) {
  const Scout scout(context);
  std::vector<Finding> findings(trials);
  std::vector<long> looked_at;
  for (const auto& [work, alike] : works) looked_at.push_back(alike.front());
  std::vector<Finding> found = scout.look_at(looked_at);
  looked_at.clear();
  std::size_t next = 0;
  for (const auto& [work, alike] : works) {
    const Finding& of_first = found[next++];
    for (const long trial : alike) findings[static_cast<std::size_t>(trial)] = of_first;
    if (of_first.would_fail) looked_at.insert(looked_at.end(), alike.begin() + 1, alike.end());
  }
  found = scout.look_at(looked_at);
  for (std::size_t i = 0; i < found.size(); ++i) findings[static_cast<std::size_t>(looked_at[i])] = found[i];
  return findings;
}

void say_whole(const setup::Context& context, std::span<const Standing> standings,
               std::span<const Finding> findings) {
  const config::SweepOptions& sweep = *context.sweep();
  std::vector<plan::TrialWork> works;
  bool is_timed = true;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    if (standings[i].ended || findings[i].would_fail) continue;
    const TrainingOutlook& outlook = findings[i].outlook;
    is_timed = is_timed && outlook.step_s;
    works.push_back({outlook.step_s.value_or(0.0), standings[i].steps, outlook.total_steps});
  }
  const int groups = groups_of(context);
  const double seconds =
      plan::sweep_seconds(works, standings.size(), groups, sweep.rungs, sweep.reduction_factor);
  context.log().info(
      "sweep: {} trials, {} at once with {} rank{} each; {} to train, {}", standings.size(), groups,
      sweep.ranks_per_trial, plural(static_cast<std::size_t>(sweep.ranks_per_trial)), works.size(),
      is_timed ? fmt::format("predicted to take {} without evaluations and files", format_duration(seconds))
               : "the time is not predicted");
}

}  // namespace

void describe_sweep(const setup::Context& context) {
  const config::SweepOptions& sweep = *context.sweep();
  comm::collectively(context.world(), [&] { check_start(context); });
  data::InputOptions train = context.config().train_input;
  train.download = false;
  static_cast<void>(setup::find_dataset(context.topology(), train, context.log()));
  const SweepDir directory(context.config().run.model_dir);
  setup::on_root(context.world(), [&] { directory.continues(sweep, context.config()); });

  const std::vector<Standing> standings = standings_of(context, directory);
  const auto works = open_trials(sweep, standings);
  const std::vector<Finding> findings = find_out(context, works, standings.size());
  for (std::size_t i = 0; i < standings.size(); ++i) {
    const auto trial = static_cast<long>(i);
    context.log().info("{}: {}: {}", SweepDir::trial_name(trial),
                       describe(config::trial_settings(sweep, trial)), text_of(standings[i], findings[i]));
  }
  say_whole(context, standings, findings);
  const bool none_is_left = !works.empty() && std::ranges::all_of(works, [&](const auto& work) {
    return std::ranges::all_of(
        work.second, [&](long trial) { return findings[static_cast<std::size_t>(trial)].would_fail; });
  });
  if (none_is_left) throw UsageError("none of the trials that are left would be trained").as_agreed();
}

}  // namespace fcmnist::run
