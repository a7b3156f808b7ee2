#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "config/value.hpp"

namespace fcmnist::config {

struct Override;

/// What one key of a sweep may be: one of several values, or a number from a range.
struct SweepParameter {
  std::string key;                       ///< "section.key", its own name and not another one of it
  std::vector<std::string> values = {};  ///< as on a command line; empty: a range
  double min = 0.0, max = 0.0;           ///< of a range, both in it
  bool is_logarithmic = false, is_integer = false;
  long count = 0;  ///< of a range in a grid: so many values from min to max

  bool operator==(const SweepParameter&) const = default;
};

enum class SweepMethod {
  grid,    ///< every combination; the last parameter changes fastest
  random,  ///< `trials` draws, each parameter by itself
  /// One of these two, by whether `trials` is given. At each of `rungs`, steps, the trials are compared by validation
  /// loss, and one in `reduction_factor` goes on. Synchronous, as in Jamieson and Talwalkar, arXiv 1502.07943.
  successive_halving,
};

/// The section `sweep`: many trainings that differ in some keys. What a trial is depends on its number and on this
/// section alone.
struct SweepOptions {
  SweepMethod method = SweepMethod::grid;
  long trials = 0;          ///< of draws: how many
  std::uint64_t seed = 1;   ///< of the draws
  std::vector<long> rungs;  ///< steps, in increasing order
  int reduction_factor = 3;
  int ranks_per_trial = 1;
  Mode mode = Mode::train_and_eval;  ///< of each trial; or train
  std::vector<SweepParameter> parameters;

  [[nodiscard]] bool draws() const {
    return method == SweepMethod::random || (method == SweepMethod::successive_halving && trials > 0);
  }
  [[nodiscard]] long trial_count() const;
  bool operator==(const SweepOptions&) const = default;
};

/// Reads the section. Throws UsageError with the place of what is wrong: an unknown key or one that a sweep cannot
/// change, a key that is named twice, a value that the key does not take, an empty range, more than most_trials.
SweepOptions read_sweep(const Value& section);
inline constexpr long most_trials = 100'000;

/// The settings of a trial, from 0, one for each parameter, in their order. Numbers from ranges that are no integers
/// have four significant digits.
std::vector<Override> trial_settings(const SweepOptions& sweep, long trial);

/// The section as YAML, the same for equal sweeps.
std::string to_yaml(const SweepOptions& sweep);

}  // namespace fcmnist::config
