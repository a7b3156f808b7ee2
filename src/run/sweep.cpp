#include "run/sweep.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/text.hpp"
#include "run/sweep_dir.hpp"
#include "run/sweep_group.hpp"
#include "run/sweep_results.hpp"
#include "setup/data_shelf.hpp"

namespace fcmnist::run {

namespace {

/// A wait for other groups, whose trials take as long as they take. Each group watches its own ranks meanwhile.
constexpr double however_long_s = 1e9;

/// This job's place among those of a Slurm job array, which share the trials.
struct ArrayPlace {
  long task = 0, tasks = 1;
};

ArrayPlace place_in_array() {
  const auto number = [](const char* variable) {
    const char* text = std::getenv(variable);
    return text == nullptr ? -1L : std::strtol(text, nullptr, 10);
  };
  const long task = number("SLURM_ARRAY_TASK_ID"), first = number("SLURM_ARRAY_TASK_MIN");
  const long tasks = number("SLURM_ARRAY_TASK_COUNT");
  if (task < 0 || first < 0 || tasks < 1 || task < first) return {};
  return {(task - first) % tasks, tasks};
}

/// The sets that the trials share. One that a sweep changes is read by each group by itself.
void fill_shelf(const setup::Context& context, setup::DataShelf& shelf) {
  const auto is_swept = [&](const char* key) {
    return std::ranges::any_of(context.sweep()->parameters,
                               [&](const config::SweepParameter& parameter) { return parameter.key == key; });
  };
  const config::RunConfig& config = context.config();
  const int classes = config.model.num_classes;
  if (!is_swept("train_input.data_dir") && !is_swept("train_input.split"))
    shelf.put(context.topology(), config.train_input, classes, setup::Role::training, context.log());
  if (context.sweep()->mode == config::Mode::train) return;
  if (!is_swept("train_input.data_dir") && !is_swept("eval_input.data_dir") && !is_swept("eval_input.split"))
    shelf.put(context.topology(), config.eval_input, classes, setup::Role::test, context.log());
}

/// The number of trials in each state, and the best one.
void say_results(const config::SweepOptions& sweep, const store::Sweep& results, Logger& log) {
  std::vector<std::size_t> counts(std::size(store::trial_states));
  for (const store::Trial& trial : results.trials) ++counts[static_cast<std::size_t>(trial.state)];
  std::vector<std::string> texts;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] > 0) texts.push_back(fmt::format("{} {}", counts[s], store::trial_states[s]));
  }
  log.info("{} trial{}: {}", results.trials.size(), plural(results.trials.size()), fmt::join(texts, ", "));
  const bool validates =
      std::ranges::any_of(results.trials, [](const store::Trial& trial) { return trial.best_step >= 0; });
  const store::Trial* best = nullptr;
  double best_accuracy = -1.0;
  for (const store::Trial& trial : results.trials) {
    if (trial.state != store::TrialState::done) continue;
    const auto& rows = validates ? trial.validations : trial.evaluations;
    for (const store::EvalRow& row : rows) {
      const bool counts_here = validates ? row.step == trial.best_step : &row == &rows.back();
      if (!counts_here || row.accuracy <= best_accuracy) continue;
      best = &trial;
      best_accuracy = row.accuracy;
    }
  }
  if (best == nullptr) return;
  log.info("best by {} accuracy: {} with {:.4f}: {}", validates ? "validation" : "test", best->path,
           best_accuracy, describe(config::trial_settings(sweep, best - results.trials.data())));
  if (!validates)
    log.info(
        "what is chosen by the test set looks better than it is; train_input.validation_size holds samples "
        "out");
}

/// Whether all trials are where the rung compares them. Collective; the same answer on all ranks.
bool all_have_reached(const setup::Context& context, const SweepDir& directory, std::span<const long> trials,
                      std::int64_t rung) {
  bool reached = true;
  setup::on_root(
      context.world(),
      [&] {
        for (const long trial : trials) {
          reached = reached && (directory.outcome(trial) ||
                                has_reached(directory, trial, rung, context.config().model.num_classes));
        }
      },
      comm::long_work_s);
  return context.world().broadcast(reached, 0);
}

/// An error that only the ranks of one group know ends the world, so that the others do not wait for them.
template <class Work>
void within_group(const setup::Context& context, Work work) {
  try {
    work();
  } catch (const Error& error) {
    if (context.sweep()->ranks_per_trial == context.world().size()) throw;  // all ranks are of one group
    throw Error(error.code(), error.what());
  }
}

/// Trains all groups' trials up to a rung, or with 0 to their ends. At a rung those are waited for that another job has.
/// Returns false if the job is to stop. Collective.
bool train_up_to(const setup::Context& context, const SweepDir& directory, SweepGroup& group,
                 std::span<const long> trials, std::int64_t rung) {
  const auto nobody_stops = [&] {  // a group that is done waits here for the others
    return context.world().min(group.is_stopped() ? 0 : 1, however_long_s) == 1;
  };
  within_group(context, [&] { group.train(trials, rung); });
  if (!nobody_stops()) return false;
  while (rung > 0 && !all_have_reached(context, directory, trials, rung)) {
    setup::on_root(context.world(), [] { std::this_thread::sleep_for(std::chrono::seconds(5)); });
    within_group(context, [&] { group.train_what_is_left(trials, rung); });
    if (!nobody_stops()) return false;
  }
  return true;
}

/// Returns false if the job is to stop. Collective.
bool train_all(const setup::Context& context, const SweepDir& directory, SweepGroup& group) {
  const config::SweepOptions& sweep = *context.sweep();
  std::vector<long> trials(static_cast<std::size_t>(sweep.trial_count()));
  std::iota(trials.begin(), trials.end(), 0);
  for (const long rung : sweep.rungs) {
    if (!train_up_to(context, directory, group, trials, rung)) return false;
    std::vector<long> best;
    setup::on_root(
        context.world(),
        [&] {
          best = promote(directory, sweep, trials, rung, context.config().model.num_classes, context.log());
        },
        comm::long_work_s);
    trials.resize(context.world().broadcast(best.size(), 0));
    std::ranges::copy(best, trials.begin());
    context.world().broadcast(std::as_writable_bytes(std::span(trials)), 0);
  }
  return train_up_to(context, directory, group, trials, 0);
}

}  // namespace

ExitCode run_sweep(const setup::Context& context, StopSignals& signals) {
  const comm::Communicator& world = context.world();
  const config::SweepOptions& sweep = *context.sweep();
  const SweepDir directory(context.config().run.model_dir);
  comm::collectively(world, [&] { check_start(context); });
  const int groups = groups_of(context);
  setup::on_root(world, [&] { directory.begin(sweep, context.config()); });
  const ArrayPlace place = world.broadcast(place_in_array(), 0);
  context.log().info(
      "sweep: {} trials in {}, {} at once with {} rank{} each{}", sweep.trial_count(),
      directory.path().string(), groups, sweep.ranks_per_trial,
      plural(static_cast<std::size_t>(sweep.ranks_per_trial)),
      place.tasks > 1 ? fmt::format("; job {} of {} of an array", place.task, place.tasks) : "");
  setup::DataShelf shelf;
  fill_shelf(context, shelf);

  const int number = world.rank() / sweep.ranks_per_trial;
  const comm::Communicator group = world.split(number);
  SweepGroup trials(context, signals, group, shelf, place.task * groups + number, place.tasks * groups);
  const bool is_stopped = !train_all(context, directory, trials);
  bool all_refused = false;
  const auto failure = static_cast<ExitCode>(-world.min(-static_cast<std::int64_t>(trials.failure())));
  setup::on_root(
      world,
      [&] {
        const store::Sweep results =
            write_results(directory, sweep, context.config(), context.manifest(), context.log());
        say_results(sweep, results, context.log());
        all_refused = std::ranges::all_of(results.trials, [](const store::Trial& trial) {
          return trial.state == store::TrialState::refused;
        });
        context.log().info("files: {}", directory.results_file().string());
      },
      comm::long_work_s);
  all_refused = world.broadcast(all_refused, 0);
  if (!is_stopped) return all_refused ? ExitCode::usage : failure;
  context.log().info("stopped before all trials have ended; the same command goes on");
  return ExitCode::stopped;
}

}  // namespace fcmnist::run
