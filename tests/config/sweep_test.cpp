#include "config/sweep.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "config/load.hpp"
#include "core/error.hpp"

namespace fcmnist::config {
namespace {

Loaded load_file(const std::string& yaml) {
  Sources sources;
  sources.yaml = yaml;
  sources.yaml_name = "f.yaml";
  return load(sources);
}

SweepOptions sweep_of(const std::string& section) {
  return *load_file("train_input: {validation_size: 9}\nsweep: {" + section + "}\nrunconfig: {mode: sweep}\n")
              .sweep;
}

std::string sweep_error(const std::string& section) {
  try {
    sweep_of(section);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

std::string settings_text(const std::vector<Override>& settings) {
  std::string text;
  for (const Override& setting : settings)
    text += (text.empty() ? "" : " ") + setting.key + "=" + setting.value;
  return text;
}

TEST(Sweep, AGridHasEveryCombinationAndTheLastParameterChangesFastest) {
  const SweepOptions sweep = sweep_of(
      "parameters: {optimizer.learning_rate: [0.05, 0.1], model.hidden_sizes: [[500, 300], [1000]]}");
  ASSERT_EQ(sweep.trial_count(), 4);
  EXPECT_EQ(settings_text(trial_settings(sweep, 0)),
            "optimizer.learning_rate=0.05 model.hidden_sizes=[500, 300]");
  EXPECT_EQ(settings_text(trial_settings(sweep, 1)),
            "optimizer.learning_rate=0.05 model.hidden_sizes=[1000]");
  EXPECT_EQ(settings_text(trial_settings(sweep, 3)), "optimizer.learning_rate=0.1 model.hidden_sizes=[1000]");
}

TEST(Sweep, RangesOfAGridAreSpacedEvenlyOrByAFactor) {
  const SweepOptions sweep = sweep_of(
      "parameters: {model.dropout: {min: 0, max: 0.4, count: 3}, optimizer.learning_rate: {min: 0.01, max: "
      "1, log: "
      "True, count: 3}, runconfig.seed: 3..4}");
  ASSERT_EQ(sweep.trial_count(), 18);
  std::map<std::string, std::set<std::string>> seen;
  for (long trial = 0; trial < 18; ++trial) {
    for (const Override& setting : trial_settings(sweep, trial)) seen[setting.key].insert(setting.value);
  }
  EXPECT_EQ(seen["model.dropout"], (std::set<std::string>{"0", "0.2", "0.4"}));
  EXPECT_EQ(seen["optimizer.learning_rate"], (std::set<std::string>{"0.01", "0.1", "1"}));
  EXPECT_EQ(seen["runconfig.seed"], (std::set<std::string>{"3", "4"}));
}

TEST(Sweep, DrawsAreAFunctionOfSeedAndTrialAndFillTheirRanges) {
  const std::string parameters =
      "method: random, trials: 400, parameters: {optimizer.learning_rate: {min: 0.001, max: 1, log: True}, "
      "runconfig.log_steps: {min: 1, max: 4, integer: True}, optimizer.use_nesterov: [True, False]}";
  const SweepOptions sweep = sweep_of(parameters), again = sweep_of(parameters),
                     other = sweep_of("seed: 2, " + parameters);
  std::map<std::string, int> steps;
  int below_middle = 0, nesterov = 0, same = 0;
  for (long trial = 0; trial < 400; ++trial) {
    const auto settings = trial_settings(sweep, trial);
    EXPECT_EQ(settings_text(settings), settings_text(trial_settings(again, trial)));
    same += settings_text(settings) == settings_text(trial_settings(other, trial)) ? 1 : 0;
    const double rate = std::strtod(settings[0].value.c_str(), nullptr);
    EXPECT_GE(rate, 0.001);
    EXPECT_LE(rate, 1.0);
    below_middle += rate < std::sqrt(0.001) ? 1 : 0;
    ++steps[settings[1].value];
    nesterov += settings[2].value == "True" ? 1 : 0;
  }
  EXPECT_LT(same, 10);
  EXPECT_NEAR(below_middle, 200, 50);
  EXPECT_NEAR(nesterov, 200, 50);
  ASSERT_EQ(steps.size(), 4U);
  for (const auto& [value, count] : steps) EXPECT_NEAR(count, 100, 45) << value;
}

TEST(Sweep, IsWrittenAsItWasRead) {
  for (const char* section :
       {"parameters: {optimizer.learning_rate: [0.05, {scheduler: Linear, initial_learning_rate: 0.1, "
        "end_learning_rate: 0.0}], runconfig.seed: 1..3}",
        "method: successive_halving, rungs: [5, 50], reduction_factor: 4, parameters: {runconfig.seed: 1..3}",
        "method: random, trials: 7, seed: 9, mode: train, ranks_per_trial: 2, parameters: {model.dropout: "
        "{min: 0, "
        "max: 0.5}, runconfig.seed: {min: 1, max: 9, integer: True}}"}) {
    const SweepOptions sweep = sweep_of(section);
    const std::string common = "runconfig: {mode: sweep}\ntrain_input: {validation_size: 9}\n";
    EXPECT_EQ(*load_file(common + to_yaml(sweep)).sweep, sweep) << to_yaml(sweep);
  }
}

TEST(Sweep, AnotherNameOfAKeyIsTheKey) {
  EXPECT_EQ(sweep_of("parameters: {optimizer.weight_decay: [0.1]}").parameters[0].key,
            "optimizer.weight_decay_rate");
}

TEST(Sweep, WhatIsWrongIsNamedWithItsPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"method: grid", "sweep.parameters is missing"},
      {"parameters: {}", "sweep.parameters: expected keys with their values"},
      {"parameters: {optimizer.lerning_rate: [1]}",
       "f.yaml:2: sweep parameter optimizer.lerning_rate: unknown key\n  HINT: did you mean "
       "optimizer.learning_rate?"},
      {"parameters: {runconfig.model_dir: [a, b]}",
       "runconfig.model_dir: this key cannot differ from trial to trial"},
      {"parameters: {optimizer.momentum: [0.9, much]}", "optimizer.momentum: expected a number"},
      {"parameters: {optimizer.momentum: []}", "expected a list of values, a range such as"},
      {"parameters: {optimizer.momentum: 0.9}", "expected a list of values, a range such as"},
      {"parameters: {optimizer.momentum: {min: 0.9, max: 0.1, count: 2}}", "expected min below max"},
      {"parameters: {optimizer.learning_rate: {min: 0, max: 0.1, log: True, count: 2}}",
       "both above 0 with log"},
      {"parameters: {optimizer.momentum: {min: 0.1, max: 0.9}}", "a range in a grid needs count"},
      {"parameters: {optimizer.momentum: {min: 0.1, max: 1.9, count: 2}}", "optimizer.momentum: expected"},
      {"parameters: {train_input.batch_size: {min: 16.5, max: 64, integer: True, count: 2}}",
       "expected whole numbers"},
      {"method: random, trials: 2, parameters: {train_input.batch_size: {min: 16, max: 256}}",
       "batch_size: expected"},
      {"method: random, trials: 2, parameters: {model.dropout: {min: 0, max: 0.5, count: 3}}",
       "count is for grids"},
      {"seed: 3, parameters: {runconfig.seed: 1..2}", "sweep.seed is of draws"},
      {"parameters: {runconfig.seed: 8..1}", "8..1 has 0 values"},
      {"parameters: {runconfig.seed: 1..x}", "expected integers as in 1..8"},
      {"parameters: {optimizer.weight_decay: [0.1], optimizer.weight_decay_rate: [0.2]}",
       "optimizer.weight_decay_rate is there twice"},
      {"method: random, parameters: {runconfig.seed: 1..2}", "sweep.method random needs sweep.trials"},
      {"trials: 3, parameters: {runconfig.seed: 1..2}", "sweep.trials 3 with sweep.method grid"},
      {"method: best, parameters: {runconfig.seed: 1..2}", "sweep.method: expected"},
      {"rung: 3, parameters: {runconfig.seed: 1..2}", "unknown key sweep.rung"},
      {"rungs: [3], parameters: {runconfig.seed: 1..2}",
       "sweep.rungs without sweep.method successive_halving"},
      {"method: successive_halving, parameters: {runconfig.seed: 1..2}",
       "successive_halving needs sweep.rungs"},
      {"method: successive_halving, rungs: [5, 5], parameters: {runconfig.seed: 1..2}", "found 5 after 5"},
      {"parameters: {runconfig.seed: 1..1000, runconfig.log_steps: 1..1000}", "a grid of 1000000 trials"},
  };
  for (const auto& [section, message] : cases) {
    EXPECT_NE(sweep_error(section).find(message), std::string::npos)
        << section << ": " << sweep_error(section);
  }
}

TEST(Sweep, CountsInItsModeOnly) {
  const Loaded loaded = load_file("sweep: {parameters: {runconfig.seed: 1..2}}\n");
  ASSERT_EQ(loaded.notes.size(), 1U);
  EXPECT_EQ(loaded.notes[0], "section sweep: it counts in the mode sweep only (-m sweep)");
  EXPECT_THROW(load_file("runconfig: {mode: sweep}\n"), UsageError);
  EXPECT_THROW(
      load_file("runconfig: {mode: sweep}\nsweep: {method: successive_halving, rungs: [5], parameters: "
                "{runconfig.seed: 1..2}}\n"),
      UsageError)
      << "without validation";
}

TEST(Sweep, AKeyOfTheSweepIsNotGivenOnTheCommandLineToo) {
  Sources sources;
  sources.yaml = "runconfig: {mode: sweep, seed: 5}\nsweep: {parameters: {runconfig.seed: 1..2}}\n";
  sources.yaml_name = "f.yaml";
  EXPECT_NO_THROW(load(sources)) << "the file may have it for single runs";
  sources.overrides = {{"runconfig.seed", "7"}};
  EXPECT_THROW(load(sources), UsageError);
}

}  // namespace
}  // namespace fcmnist::config
