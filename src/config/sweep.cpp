#include "config/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "config/keys.hpp"
#include "config/load.hpp"
#include "config/readers.hpp"
#include "core/counter_rng.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

constexpr Choice<SweepMethod> methods[] = {{"grid", SweepMethod::grid},
                                           {"random", SweepMethod::random},
                                           {"successive_halving", SweepMethod::successive_halving}};
constexpr Choice<Mode> trial_modes[] = {{"train_and_eval", Mode::train_and_eval}, {"train", Mode::train}};

/// Keys of the process or of the place of a run, which the trials of one job share or which name one of them.
constexpr std::string_view not_swept[] = {
    "runconfig.mode",         "runconfig.model_dir",        "runconfig.stall_timeout",
    "runconfig.blas_threads", "runconfig.logging",          "runconfig.max_time",
    "runconfig.plan",         "eval_input.images",          "runconfig.num_replicas",
    "model.num_classes",      "train_input.validation_size"};

/// As a command line would give the value.
std::string text_of(const Value& value) {
  if (value.kind == Value::Kind::scalar) return value.quoted ? fmt::format("\"{}\"", value.text) : value.text;
  std::string text;
  if (value.kind == Value::Kind::list) {
    for (const Value& item : value.items) text += (text.empty() ? "" : ", ") + text_of(item);
    return "[" + text + "]";
  }
  for (const Value::Entry& entry : value.entries) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", entry.key, text_of(entry.value));
  }
  return "{" + text + "}";
}

/// "1..8", which YAML leaves as text.
std::vector<std::string> integers_of(const std::string& text, const Place& where, const std::string& key) {
  const std::size_t dots = text.find("..");
  const auto number = [&](const std::string& digits) {
    char* end = nullptr;
    const long value = std::strtol(digits.c_str(), &end, 10);
    if (digits.empty() || *end != '\0') {
      throw UsageError(
          fmt::format("{}: sweep parameter {}: expected integers as in 1..8, found {}", where, key, text));
    }
    return value;
  };
  const long first = number(text.substr(0, dots)), last = number(text.substr(dots + 2));
  if (last < first || last - first >= most_trials) {
    throw UsageError(fmt::format("{}: sweep parameter {}: {} has {} values, expected 1 to {}", where, key,
                                 text, std::max(0L, last - first + 1), most_trials));
  }
  std::vector<std::string> values;
  for (long value = first; value <= last; ++value) values.push_back(std::to_string(value));
  return values;
}

const Key& swept_key(const std::string& name, const Place& where) {
  const Key* key = find_key(name);
  if (key != nullptr && !key->stands_for.empty()) key = find_key(key->stands_for);
  if (key == nullptr) {
    const std::string meant = nearest_key(name);
    throw UsageError(fmt::format("{}: sweep parameter {}: unknown key", where, name),
                     meant.empty() ? "write section.key" : fmt::format("did you mean {}?", meant));
  }
  const bool changes_something = key->kind == KeyKind::active || key->kind == KeyKind::alias;
  if (!changes_something || std::ranges::find(not_swept, key->full_name()) != std::end(not_swept)) {
    throw UsageError(fmt::format("{}: sweep parameter {}: this key cannot differ from trial to trial", where,
                                 key->full_name()),
                     "set it for all trials, in its section or on the command line");
  }
  return *key;
}

/// Only what a value is by itself; whether it goes with the others is known when its trial begins.
void check_value(const Key& key, const std::string& text, const Place& where) {
  const Value value = parse_override(text, where);
  if (key.may_be_null() && is_null(value)) return;
  Draft draft;
  key.read(value, "sweep parameter " + key.full_name(), draft);
}

SweepParameter read_range(const Value& range, const std::string& key) {
  SweepParameter parameter{.key = key};
  const std::string name = "sweep parameter " + key;
  constexpr NumberRange any{std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max(), true,
                            true, "a number"};
  bool has_min = false, has_max = false;
  for (const Value::Entry& entry : range.entries) {
    if (entry.key == "min") {
      parameter.min = read_number(entry.value, name + ".min", any);
      has_min = true;
    } else if (entry.key == "max") {
      parameter.max = read_number(entry.value, name + ".max", any);
      has_max = true;
    } else if (entry.key == "log") {
      parameter.is_logarithmic = read_bool(entry.value, name + ".log");
    } else if (entry.key == "integer") {
      parameter.is_integer = read_bool(entry.value, name + ".integer");
    } else if (entry.key == "count") {
      parameter.count = read_integer<long>(entry.value, name + ".count", 1, most_trials);
    } else {
      throw UsageError(fmt::format("{}: {}: unknown word {}", entry.where, name, entry.key),
                       "a range has min, max, and if needed log: True, integer: True, count (grid)");
    }
  }
  if (!has_min || !has_max) throw UsageError(fmt::format("{}: {}: expected min and max", range.where, name));
  if (!(parameter.min < parameter.max) || (parameter.is_logarithmic && parameter.min <= 0.0)) {
    throw UsageError(fmt::format("{}: {}: expected min below max{}, found {} and {}", range.where, name,
                                 parameter.is_logarithmic ? ", both above 0 with log" : "",
                                 write(parameter.min), write(parameter.max)));
  }
  if (parameter.is_integer &&
      (parameter.min != std::floor(parameter.min) || parameter.max != std::floor(parameter.max))) {
    throw UsageError(fmt::format("{}: {}: integer: True with min {} and max {}, expected whole numbers",
                                 range.where, name, write(parameter.min), write(parameter.max)));
  }
  return parameter;
}

/// A number of a range, `place` from 0 to 1.
std::string number_at(const SweepParameter& range, double place) {
  if (range.is_integer && !range.is_logarithmic) {
    const double value = std::floor(range.min + place * (range.max - range.min + 1.0));
    return fmt::format("{:.0f}", std::clamp(value, range.min, range.max));
  }
  const double value =
      range.is_logarithmic
          ? std::exp(std::log(range.min) + place * (std::log(range.max) - std::log(range.min)))
          : range.min + place * (range.max - range.min);
  if (range.is_integer) return fmt::format("{:.0f}", std::clamp(std::round(value), range.min, range.max));
  return fmt::format("{:.4g}", value);
}

long values_in_grid(const SweepParameter& parameter) {
  return parameter.values.empty() ? parameter.count : static_cast<long>(parameter.values.size());
}

SweepParameter read_parameter(const Value::Entry& entry) {
  const Key& key = swept_key(entry.key, entry.where);
  SweepParameter parameter{.key = key.full_name()};
  const Value& value = entry.value;
  if (value.kind == Value::Kind::mapping) {
    parameter = read_range(value, key.full_name());
    for (const double place : {0.0, 0.382, 1.0 - 1e-9})
      check_value(key, number_at(parameter, place), value.where);
    return parameter;
  }
  if (value.kind == Value::Kind::list) {
    for (const Value& item : value.items) parameter.values.push_back(text_of(item));
  } else if (value.kind == Value::Kind::scalar && !value.quoted &&
             value.text.find("..") != std::string::npos) {
    parameter.values = integers_of(value.text, value.where, key.full_name());
  }
  if (parameter.values.empty()) {
    throw UsageError(fmt::format(
        "{}: sweep parameter {}: expected a list of values, a range such as {{min: 0.01, max: "
        "0.1}}, or integers such as 1..8, found {}",
        value.where, key.full_name(), value.kind == Value::Kind::list ? "an empty list" : describe(value)));
  }
  for (const std::string& text : parameter.values) check_value(key, text, value.where);
  return parameter;
}

void read_parameters(const Value& parameters, SweepOptions& sweep) {
  if (parameters.kind != Value::Kind::mapping || parameters.entries.empty()) {
    throw UsageError(fmt::format("{}: sweep.parameters: expected keys with their values, found {}",
                                 parameters.where, describe(parameters)),
                     "for example optimizer.learning_rate: [0.05, 0.1]");
  }
  std::set<std::string> seen;
  for (const Value::Entry& entry : parameters.entries) {
    sweep.parameters.push_back(read_parameter(entry));
    if (seen.insert(sweep.parameters.back().key).second) continue;
    throw UsageError(
        fmt::format("{}: sweep parameter {} is there twice", entry.where, sweep.parameters.back().key),
        "two names of one key are one parameter");
  }
}

void check_method(const SweepOptions& sweep, const Place& where) {
  const bool is_halving = sweep.method == SweepMethod::successive_halving;
  if (is_halving == sweep.rungs.empty()) {
    throw UsageError(fmt::format("{}: {}", where,
                                 is_halving ? "sweep.method successive_halving needs sweep.rungs"
                                            : "sweep.rungs without sweep.method successive_halving"),
                     "rungs are the steps after which the worse trials end, such as [500, 1500]");
  }
  if (sweep.method == SweepMethod::random && sweep.trials == 0) {
    throw UsageError(fmt::format("{}: sweep.method random needs sweep.trials", where));
  }
  if (sweep.draws()) {
    for (const SweepParameter& parameter : sweep.parameters) {
      if (parameter.count == 0) continue;
      throw UsageError(fmt::format("{}: sweep parameter {}: count is for grids, and these are draws", where,
                                   parameter.key));
    }
    return;
  }
  if (sweep.trials > 0) {
    throw UsageError(fmt::format("{}: sweep.trials {} with sweep.method grid, which has every combination",
                                 where, sweep.trials),
                     "leave trials out, or sweep.method random");
  }
  double trials = 1.0;
  for (const SweepParameter& parameter : sweep.parameters) {
    if (values_in_grid(parameter) == 0) {
      throw UsageError(
          fmt::format("{}: sweep parameter {}: a range in a grid needs count, the number of its values",
                      where, parameter.key));
    }
    trials *= static_cast<double>(values_in_grid(parameter));
  }
  if (trials > static_cast<double>(most_trials)) {
    throw UsageError(
        fmt::format("{}: a grid of {:.0f} trials, expected at most {}", where, trials, most_trials),
        "sweep.method random");
  }
}

}  // namespace

SweepOptions read_sweep(const Value& section) {
  if (section.kind != Value::Kind::mapping) {
    throw UsageError(fmt::format("{}: section sweep: expected keys with values, found {}", section.where,
                                 describe(section)));
  }
  SweepOptions sweep;
  for (const Value::Entry& entry : section.entries) {
    const std::string name = "sweep." + entry.key;
    if (entry.key == "method") {
      sweep.method = read_choice(entry.value, name, methods);
    } else if (entry.key == "trials") {
      sweep.trials = read_integer<long>(entry.value, name, 1, most_trials);
    } else if (entry.key == "seed") {
      sweep.seed = read_integer<std::uint64_t>(entry.value, name, 0);
    } else if (entry.key == "ranks_per_trial") {
      sweep.ranks_per_trial = read_integer<int>(entry.value, name, 1, 1'000'000);
    } else if (entry.key == "rungs") {
      for (const int step : read_integers(entry.value, name, 1, 2'000'000'000)) {
        if (sweep.rungs.empty() || sweep.rungs.back() < step) {
          sweep.rungs.push_back(step);
          continue;
        }
        throw UsageError(fmt::format("{}: sweep.rungs: expected steps in increasing order, found {} after {}",
                                     entry.where, step, sweep.rungs.back()));
      }
    } else if (entry.key == "reduction_factor") {
      sweep.reduction_factor = read_integer<int>(entry.value, name, 2, 1000);
    } else if (entry.key == "mode") {
      sweep.mode = read_choice(entry.value, name, trial_modes);
    } else if (entry.key == "parameters") {
      read_parameters(entry.value, sweep);
    } else {
      throw UsageError(fmt::format("{}: unknown key {}", entry.where, name),
                       "the keys of the section are method, parameters, trials, seed, rungs, "
                       "reduction_factor, ranks_per_trial, mode");
    }
  }
  if (sweep.parameters.empty())
    throw UsageError(fmt::format("{}: sweep.parameters is missing", section.where));
  check_method(sweep, section.where);
  if (section.find("seed") != nullptr && !sweep.draws()) {
    throw UsageError(fmt::format("{}: sweep.seed is of draws, and a grid has none", section.where),
                     "runconfig.seed as a parameter gives each trial several seeds");
  }
  if (section.find("reduction_factor") != nullptr && sweep.rungs.empty()) {
    throw UsageError(
        fmt::format("{}: sweep.reduction_factor without sweep.method successive_halving", section.where));
  }
  return sweep;
}

long SweepOptions::trial_count() const {
  if (draws()) return trials;
  long count = 1;
  for (const SweepParameter& parameter : parameters) count *= values_in_grid(parameter);
  return count;
}

std::vector<Override> trial_settings(const SweepOptions& sweep, long trial) {
  std::vector<Override> settings;
  long rest = trial;
  std::vector<long> index(sweep.parameters.size(), 0);
  for (std::size_t p = sweep.parameters.size(); !sweep.draws() && p-- > 0;) {
    const long count = values_in_grid(sweep.parameters[p]);
    index[p] = rest % count;
    rest /= count;
  }
  for (std::size_t p = 0; p < sweep.parameters.size(); ++p) {
    const SweepParameter& parameter = sweep.parameters[p];
    const bool is_range = parameter.values.empty();
    std::string value;
    if (sweep.draws()) {
      const CounterRng random(sweep.seed, Purpose::sweep, static_cast<std::uint32_t>(trial),
                              static_cast<std::uint32_t>(p));
      const auto count = static_cast<std::uint32_t>(parameter.values.size());
      value = is_range ? number_at(parameter, random.uniform(0)) : parameter.values[random.below(count, 0)];
    } else if (is_range) {
      const double most = parameter.count > 1 ? static_cast<double>(parameter.count - 1) : 1.0;
      value = number_at(parameter, std::min(static_cast<double>(index[p]) / most, 1.0));
    } else {
      value = parameter.values[static_cast<std::size_t>(index[p])];
    }
    settings.push_back({parameter.key, value, fmt::format("trial {}", trial)});
  }
  return settings;
}

std::string to_yaml(const SweepOptions& sweep) {
  std::string text = fmt::format("sweep:\n  method: {}\n", write_choice(sweep.method, methods));
  if (!sweep.rungs.empty()) {
    text += fmt::format("  rungs: [{}]\n  reduction_factor: {}\n", fmt::join(sweep.rungs, ", "),
                        sweep.reduction_factor);
  }
  if (sweep.draws()) {
    text += fmt::format("  trials: {}\n  seed: {}\n", sweep.trials, sweep.seed);
  }
  text += fmt::format("  ranks_per_trial: {}\n  mode: {}\n  parameters:\n", sweep.ranks_per_trial,
                      write_choice(sweep.mode, trial_modes));
  for (const SweepParameter& parameter : sweep.parameters) {
    if (!parameter.values.empty()) {
      text += fmt::format("    {}: [{}]\n", parameter.key, fmt::join(parameter.values, ", "));
      continue;
    }
    text += fmt::format("    {}: {{min: {}, max: {}, log: {}, integer: {}{}}}\n", parameter.key,
                        write(parameter.min), write(parameter.max), write(parameter.is_logarithmic),
                        write(parameter.is_integer),
                        parameter.count > 0 ? fmt::format(", count: {}", parameter.count) : "");
  }
  return text;
}

}  // namespace fcmnist::config
