#include "run/sweep_group.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "config/load.hpp"
#include "core/digest.hpp"
#include "core/text.hpp"
#include "run/sweep_results.hpp"
#include "run/training.hpp"
#include "store/model_dir.hpp"
#include "store/model_dir_lock.hpp"

namespace fcmnist::run {

using config::Override;

namespace {

/// The place of the sweep may change between two starts.
std::string settings_of(const setup::Context& trial) {
  config::RunConfig config = trial.config();
  config.run.model_dir.clear();
  const std::string text = config::to_yaml(config);
  return sha256_hex(std::as_bytes(std::span(text)));
}

}  // namespace

std::string describe(const std::vector<Override>& settings) {
  std::vector<std::string> texts;
  for (const Override& setting : settings) texts.push_back(fmt::format("{}={}", setting.key, setting.value));
  return fmt::format("{}", fmt::join(texts, " "));
}

int groups_of(const setup::Context& sweep) {
  const int ranks = sweep.ranks(), of_trial = sweep.sweep()->ranks_per_trial;
  if (ranks % of_trial == 0) return ranks / of_trial;
  throw UsageError(fmt::format("sweep.ranks_per_trial {} does not divide the {} rank{} of this job", of_trial,
                               ranks, plural(static_cast<std::size_t>(ranks))),
                   of_trial > ranks ? fmt::format("mpirun -n {}, or fewer ranks per trial", of_trial)
                                    : fmt::format("mpirun -n {}", (ranks / of_trial + 1) * of_trial));
}

void check_start(const setup::Context& sweep) {
  static_cast<void>(groups_of(sweep));
  if (!sweep.arguments().restart) return;
  throw UsageError("--restart with the mode sweep: found trials that may have ended",
                   "choose another -o, or remove the folder of the sweep, or that of one trial");
}

int trials_on_node(const setup::Context& sweep) {
  const config::CommandLine& arguments = sweep.arguments();
  const int ranks =
      sweep.is_planned() ? arguments.plan_ranks / arguments.plan_nodes : sweep.topology().node().size();
  return std::max(1, ranks / sweep.sweep()->ranks_per_trial);
}

config::CommandLine arguments_of(const setup::Context& sweep, long trial) {
  config::CommandLine arguments = sweep.arguments();
  std::erase_if(arguments.overrides, [](const Override& setting) {
    return setting.key == "runconfig.mode" || setting.key == "runconfig.model_dir";
  });
  const SweepDir directory(sweep.config().run.model_dir);
  const std::string origin = SweepDir::trial_name(trial);
  const bool evaluates = sweep.sweep()->mode == config::Mode::train_and_eval;
  arguments.overrides.push_back({"runconfig.mode", evaluates ? "train_and_eval" : "train", origin});
  arguments.overrides.push_back(
      {"runconfig.model_dir", fmt::format("\"{}\"", directory.trial_dir(trial).string()), origin});
  for (Override& setting : config::trial_settings(*sweep.sweep(), trial)) {
    setting.origin = origin;
    arguments.overrides.push_back(std::move(setting));
  }
  return arguments;
}

SweepGroup::SweepGroup(const setup::Context& sweep, StopSignals& signals, const comm::Communicator& group,
                       const setup::DataShelf& shelf, long number, long groups)
    : context_(&sweep),
      sweep_(&*sweep.sweep()),
      signals_(&signals),
      group_(&group),
      shelf_(&shelf),
      number_(number),
      groups_(groups),
      directory_(sweep.config().run.model_dir),
      log_(make_logger(sweep.arguments().logging, group.rank() != 0)) {}

void SweepGroup::train(std::span<const long> trials, std::int64_t up_to_step) {
  for (std::size_t i = static_cast<std::size_t>(number_); i < trials.size();
       i += static_cast<std::size_t>(groups_)) {
    train_if_open(trials[i], up_to_step, Turn::own);
  }
  train_what_is_left(trials, up_to_step);
}

/// From the end, where the owners come last.
void SweepGroup::train_what_is_left(std::span<const long> trials, std::int64_t up_to_step) {
  for (std::size_t i = trials.size(); i-- > 0;) train_if_open(trials[i], up_to_step, Turn::left_over);
}

void SweepGroup::train_if_open(long trial, std::int64_t up_to_step, Turn turn) {
  if (is_stopped_ || failures_.contains(trial)) return;
  is_stopped_ = group_->max(signals_->arrived() != 0 ? 1.0 : 0.0) > 0.0;
  if (!is_stopped_ && is_open(trial, up_to_step, turn)) run_trial(trial, up_to_step);
}

/// Whether it is worth to try a trial: who trains it has its lock. Collective; the same answer on all ranks.
bool SweepGroup::is_open(long trial, std::int64_t up_to_step, Turn turn) {
  bool open = false;
  setup::on_root(*group_, [&] {
    directory_.make_trial_dir(trial);
    open = (turn == Turn::own || !directory_.outcome(trial)) &&
           !store::is_held(store::ModelDir(directory_.trial_dir(trial)));
    if (open && up_to_step > 0) {
      open = !has_reached(directory_, trial, up_to_step, context_->config().model.num_classes);
    }
  });
  return group_->broadcast(open, 0);
}

ExitCode SweepGroup::failure() const {
  for (const auto& [trial, code] : failures_) {
    if (code != ExitCode::usage) return code;  // refused ones are recorded
  }
  return ExitCode::done;
}

/// An error that all ranks of the group know ends the trial alone. One that a single rank knows ends the job.
void SweepGroup::run_trial(long trial, std::int64_t up_to_step) {
  setup::Common common{.log = nullptr,
                       .shelf = shelf_,
                       .settings = context_->settings_file(),
                       .runs_on_node = trials_on_node(*context_),
                       .pause_after_step = up_to_step};
  setup::on_root(*group_, [&] {
    common.log = make_file_logger(context_->arguments().logging, directory_.trial_dir(trial) / "trial.log");
  });
  // They are taken apart after the catch: while an exception is on its way, communicators are not freed.
  std::optional<setup::Context> context;
  std::optional<Error> error;
  std::string settings;
  try {
    context.emplace(*group_, arguments_of(*context_, trial), context_->started_s(), common);
    settings = settings_of(*context);
    if (!has_ended(trial, settings)) train_trial(trial, up_to_step, *context, settings);
  } catch (const Error& found) {
    if (!found.agreed()) throw;
    error = found;
  }
  context.reset();
  if (error) conclude_with(trial, *error, settings, common.log.get());
}

/// One that says that the ranks themselves are at fault ends the job.
void SweepGroup::conclude_with(long trial, const Error& error, const std::string& settings, Logger* log) {
  if (error.code() == ExitCode::communication) throw Error(error);
  if (log != nullptr) log->error("{}", error.what());
  if (error.code() == ExitCode::in_use) return;  // another job was faster
  const bool diverged = error.code() == ExitCode::diverged, refused = error.code() == ExitCode::usage;
  const auto state = diverged  ? store::TrialState::diverged
                     : refused ? store::TrialState::refused
                               : store::TrialState::failed;
  if (!diverged) failures_.emplace(trial, error.code());
  conclude(trial, state, error.what(), settings);
}

bool SweepGroup::has_ended(long trial, const std::string& settings) const {
  bool ended = false;
  if (group_->rank() == 0) {
    const auto outcome = directory_.outcome(trial);
    // Refused and failed ones are tried again at each start: it may have been the world.
    ended = outcome && outcome->state != store::TrialState::failed &&
            outcome->state != store::TrialState::refused && outcome->settings == settings;
  }
  return group_->broadcast(ended, 0);
}

void SweepGroup::train_trial(long trial, std::int64_t up_to_step, const setup::Context& context,
                             const std::string& settings) {
  log_->info("{}: {}", SweepDir::trial_name(trial), describe(config::trial_settings(*sweep_, trial)));
  setup::on_root(*group_, [&] { directory_.forget_outcome(trial); });
  if (run_training(context, *signals_) == ExitCode::done) {
    return conclude(trial, store::TrialState::done, "", settings);
  }
  bool is_paused = false;
  if (group_->rank() == 0)
    is_paused =
        up_to_step > 0 && has_reached(directory_, trial, up_to_step, context_->config().model.num_classes);
  if (!group_->broadcast(is_paused, 0)) is_stopped_ = true;
}

void SweepGroup::conclude(long trial, store::TrialState state, const std::string& reason,
                          const std::string& settings) {
  setup::on_root(*group_, [&] {
    directory_.write_outcome(trial, {state, reason, group_->size(), settings});
    const char* what = store::trial_states[static_cast<std::size_t>(state)];
    if (reason.empty()) {
      log_->info("{}: {}", SweepDir::trial_name(trial), what);
    } else {
      log_->warn("{}: {}: {}", SweepDir::trial_name(trial), what, reason);
    }
  });
}

}  // namespace fcmnist::run
