#include "run/sweep_dir.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "config/resume.hpp"
#include "config/value.hpp"
#include "core/error.hpp"
#include "store/model_dir.hpp"
#include "store/write_error.hpp"
#include "store/write_file.hpp"

namespace fcmnist::run {

namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What two starts of one sweep may differ in.
std::string comparable(config::SweepOptions sweep) {
  sweep.ranks_per_trial = 1;
  return config::to_yaml(sweep);
}

config::RunConfig without_place(config::RunConfig config) {
  config.run.model_dir = config::RunOptions().model_dir;
  config.run.mode = config::Mode::sweep;
  return config;
}

store::TrialState state_named(const std::string& name) {
  const auto* const found = std::ranges::find(store::trial_states, name);
  if (found == std::end(store::trial_states)) throw StoreError(fmt::format("unknown state {}", name));
  return static_cast<store::TrialState>(found - std::begin(store::trial_states));
}

}  // namespace

std::string SweepDir::trial_name(long trial) { return fmt::format("trial_{:04d}", trial); }

void SweepDir::begin(const config::SweepOptions& sweep, const config::RunConfig& common) const {
  store::ModelDir(path_).ensure_writable();
  if (continues(sweep, common)) return;
  store::write_atomically(path_ / "sweep.yaml",
                          config::to_yaml(without_place(common)) + config::to_yaml(sweep));
}

bool SweepDir::continues(const config::SweepOptions& sweep, const config::RunConfig& common) const {
  const fs::path file = path_ / "sweep.yaml";
  std::error_code unknown;
  if (!fs::exists(file, unknown)) return false;
  config::Sources sources;
  sources.yaml = content_of(file);
  sources.yaml_name = file.string();
  const config::Loaded then = config::load(sources);
  if (!then.sweep || comparable(*then.sweep) != comparable(sweep)) {
    throw UsageError(
        fmt::format("{}: another sweep is there: found\n{}expected\n{}", file.string(),
                    then.sweep ? config::to_yaml(*then.sweep) : "no section sweep\n", config::to_yaml(sweep)),
        "choose another -o, or give the sweep that began there");
  }
  const config::ResumeDifference difference = config::resume_difference(then.config, without_place(common));
  if (difference.forbidden.empty()) return true;
  std::string texts;
  for (const config::Difference& one : difference.forbidden) {
    texts += fmt::format("\n  {}: {} there, {} now", one.key, one.checkpointed, one.now);
  }
  throw UsageError(fmt::format("{}: the sweep there has other settings:{}", file.string(), texts),
                   "choose another -o, or give the settings with which it began");
}

void SweepDir::make_trial_dir(long trial) const {
  std::error_code error;
  fs::create_directory(trial_dir(trial), error);
  if (error) store::throw_write_error("create directory", trial_dir(trial), error.value());
}

void SweepDir::drop(long trial, const std::string& reason) const {
  std::error_code unknown;
  fs::remove(store::ModelDir(trial_dir(trial)).stopped_file(), unknown);
  write_outcome(trial, {store::TrialState::dropped, reason, 0, ""});
}

void SweepDir::forget_outcome(long trial) const {
  std::error_code error;
  fs::remove(trial_dir(trial) / "OUTCOME", error);
  if (error) store::throw_write_error("remove", trial_dir(trial) / "OUTCOME", error.value());
}

std::optional<Outcome> SweepDir::outcome(long trial) const {
  const fs::path file = trial_dir(trial) / "OUTCOME";
  const std::string text = content_of(file);
  if (text.empty()) return std::nullopt;
  try {
    const config::Value values = config::parse_yaml(text, file.string());
    const auto word = [&](const char* name) {
      const config::Value* value = values.find(name);
      if (value == nullptr) throw StoreError(fmt::format("no {}", name));
      return value->text;
    };
    return Outcome{state_named(word("state")), word("reason"), std::atoi(word("ranks").c_str()),
                   word("settings")};
  } catch (const Error&) {
    return std::nullopt;  // somebody has written to it: the trial runs again, from its checkpoint
  }
}

void SweepDir::write_outcome(long trial, const Outcome& outcome) const {
  std::string reason = outcome.reason;
  std::ranges::replace(reason, '\n', ' ');
  std::ranges::replace(reason, '"', '\'');
  std::ranges::replace(reason, '\\', '/');
  store::write_atomically(trial_dir(trial) / "OUTCOME",
                          fmt::format("state: {}\nreason: \"{}\"\nranks: {}\nsettings: \"{}\"\n",
                                      store::trial_states[static_cast<std::size_t>(outcome.state)], reason,
                                      outcome.ranks, outcome.settings));
}

}  // namespace fcmnist::run
