#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/sweep.hpp"
#include "store/sweep_file.hpp"

namespace fcmnist::run {

/// How a trial has ended, as its file OUTCOME says. A trial without one has not ended.
struct Outcome {
  store::TrialState state = store::TrialState::done;
  std::string reason;    ///< why it did not train to its end, one line; else empty
  int ranks = 0;         ///< of its last start
  std::string settings;  ///< SHA-256 of its configuration: the outcome counts for this one only
};

/// The folder of a sweep:
///   sweep.yaml     the sweep and the configuration that its trials share
///   sweep.h5       see store::Sweep
///   trial_0007/    the model_dir of a trial, with its log in trial.log and its OUTCOME
/// Several jobs may work in it at once: a trial belongs to who locks its model_dir.
class SweepDir {
 public:
  explicit SweepDir(std::filesystem::path path) : path_(std::move(path)) {}

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path results_file() const { return path_ / "sweep.h5"; }
  /// "trial_0007"
  static std::string trial_name(long trial);
  [[nodiscard]] std::filesystem::path trial_dir(long trial) const { return path_ / trial_name(trial); }

  /// Compares with the sweep.yaml that is there; returns false if there is none. Throws UsageError if it is another
  /// sweep, or if its configuration differs in what a resume may not change.
  bool continues(const config::SweepOptions& sweep, const config::RunConfig& common) const;
  /// The same, but makes the folder and writes sweep.yaml if there is none. Throws StoreError too.
  void begin(const config::SweepOptions& sweep, const config::RunConfig& common) const;

  void make_trial_dir(long trial) const;
  [[nodiscard]] std::optional<Outcome> outcome(long trial) const;
  void write_outcome(long trial, const Outcome& outcome) const;
  void forget_outcome(long trial) const;
  /// The trial does not go on: its outcome, and no word of going on.
  void drop(long trial, const std::string& reason) const;

 private:
  std::filesystem::path path_;
};

}  // namespace fcmnist::run
