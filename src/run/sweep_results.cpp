#include "run/sweep_results.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "config/load.hpp"
#include "core/error.hpp"
#include "data/file_lock.hpp"
#include "run/best_score.hpp"
#include "store/metrics_file.hpp"
#include "store/model_dir.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::run {

namespace {

/// Sweeps have many of them.
std::vector<store::EvalRow> without_samples(std::vector<store::EvalRow> rows) {
  for (store::EvalRow& row : rows) {
    row.predicted = {};
    row.confusion = {};
  }
  return rows;
}

/// Its metrics, if it has some that can be read. One that is being written is whole all the same.
void read_metrics(const store::ModelDir& model_dir, int classes, store::Trial& trial) {
  const auto metrics = store::MetricsFile::read(model_dir.metrics_file(), static_cast<std::size_t>(classes));
  if (!metrics) return;
  if (!metrics->train().empty()) {
    trial.steps = metrics->train().back().step;
    trial.training_s = metrics->train().back().elapsed_s;
  }
  trial.evaluations = without_samples(metrics->eval());
  trial.validations = without_samples(metrics->validation());
  for (const auto& rows : {trial.evaluations, trial.validations}) {
    if (!rows.empty()) trial.steps = std::max(trial.steps, rows.back().step);
  }
  const BestScore best = best_of(trial.validations);
  if (best.best()) trial.best_step = best.best()->step;
}

}  // namespace

store::Sweep gather_trials(const SweepDir& directory, const config::SweepOptions& sweep, int classes,
                           Logger& log) {
  store::Sweep found;
  for (const config::SweepParameter& parameter : sweep.parameters) found.parameters.push_back(parameter.key);
  for (long number = 0; number < sweep.trial_count(); ++number) {
    store::Trial& trial = found.trials.emplace_back();
    trial.path = SweepDir::trial_name(number);
    for (const config::Override& setting : config::trial_settings(sweep, number)) {
      trial.settings.push_back(setting.value);
    }
    std::error_code unknown;
    if (!std::filesystem::exists(directory.trial_dir(number), unknown)) continue;
    trial.state = store::TrialState::unfinished;
    if (const auto outcome = directory.outcome(number)) {
      trial.state = outcome->state;
      trial.reason = outcome->reason;
      if (outcome->ranks > 0) trial.ranks = outcome->ranks;
    }
    try {
      read_metrics(store::ModelDir(directory.trial_dir(number)), classes, trial);
    } catch (const StoreError& error) {
      log.warn("{}; sweep.h5 lacks its figures", error.what());
    }
  }
  return found;
}

namespace {

/// What validations of a trial say; nothing if it has none that can be read: a resume makes them again.
std::vector<store::EvalRow> validations_of(const SweepDir& directory, long trial, int classes) {
  store::Trial found;
  try {
    read_metrics(store::ModelDir(directory.trial_dir(trial)), classes, found);
  } catch (const StoreError&) {
    return {};
  }
  return found.validations;
}

/// At the first validation from this step on; of a run that was over before at its last. Infinity without one. What
/// became of the trial later does not count, so that every start decides alike.
double loss_at(const std::vector<store::EvalRow>& validations, std::int64_t step, bool is_done) {
  for (const store::EvalRow& row : validations) {
    if (row.step >= step) return row.loss;
  }
  return is_done && !validations.empty() ? validations.back().loss : std::numeric_limits<double>::infinity();
}

}  // namespace

bool has_reached(const SweepDir& directory, long trial, std::int64_t step, int classes) {
  const auto outcome = directory.outcome(trial);
  if (outcome && outcome->state != store::TrialState::failed && outcome->state != store::TrialState::refused)
    return true;
  // Who was killed between the two makes the steps since the last checkpoint again.
  const auto saved = store::ModelDir(directory.trial_dir(trial)).checkpoint_steps();
  if (saved.empty() || std::ranges::max(saved) < step) return false;
  const auto validations = validations_of(directory, trial, classes);
  return !validations.empty() && validations.back().step >= step;
}

std::vector<long> promote(const SweepDir& directory, const config::SweepOptions& sweep,
                          std::span<const long> trials, std::int64_t rung, int classes, Logger& log) {
  std::vector<std::pair<double, long>> ranking;
  for (const long trial : trials) {
    const auto outcome = directory.outcome(trial);
    const bool is_done = outcome && outcome->state == store::TrialState::done;
    ranking.emplace_back(loss_at(validations_of(directory, trial, classes), rung, is_done), trial);
  }
  std::ranges::sort(ranking);
  const auto factor = static_cast<std::size_t>(sweep.reduction_factor);
  const std::size_t kept = (ranking.size() + factor - 1) / factor;
  std::vector<long> best;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < ranking.size(); ++i) {
    const auto& [loss, trial] = ranking[i];
    if (i < kept && std::isfinite(loss)) {
      best.push_back(trial);
      texts.push_back(fmt::format("{} {:.5f}", SweepDir::trial_name(trial), loss));
    } else if (!directory.outcome(trial)) {
      directory.drop(trial, fmt::format("rung at step {}: validation loss {:.5f} is number {} of {}", rung,
                                        loss, i + 1, ranking.size()));
    }
  }
  log.info("rung at step {}: {} of {} trials go on, with validation losses: {}", rung, best.size(),
           ranking.size(), fmt::join(texts, ", "));
  return best;
}

store::Sweep write_results(const SweepDir& directory, const config::SweepOptions& sweep,
                           const config::RunConfig& common, const store::Manifest& manifest, Logger& log) {
  std::optional<data::FileLock> lock;
  try {
    lock.emplace(directory.path() / "LOCK", log, "writing sweep.h5");
  } catch (const DataError& error) {
    throw StoreError(error.what());
  }
  store::Sweep found = gather_trials(directory, sweep, common.model.num_classes, log);
  const auto image = store::sweep_image(directory.results_file(), found,
                                        config::to_yaml(common) + config::to_yaml(sweep), manifest);
  store::write_sealed(directory.results_file(), store::FileKind::sweep, image);
  return found;
}

}  // namespace fcmnist::run
