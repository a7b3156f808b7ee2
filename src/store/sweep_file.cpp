#include "store/sweep_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "store/hdf5.hpp"
#include "store/labels.hpp"
#include "store/root_attributes.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::store {

namespace {

/// A column of the table: one number for each trial.
template <class T>
void write_column(const hdf5::Group& root, const std::string& name, const std::vector<T>& numbers,
                  const char* units, const std::string& long_name) {
  root.write(name, {numbers.size()}, numbers.data());
  label(root, name, units, long_name);
  root.attach_scale(name, "trial", 0);
}

template <class T, class Take>
void write_of_trials(const hdf5::Group& root, const std::string& name, const std::vector<Trial>& trials,
                     const char* units, const std::string& long_name, Take take) {
  std::vector<T> numbers;
  for (const Trial& trial : trials) numbers.push_back(take(trial));
  write_column(root, name, numbers, units, long_name);
}

std::optional<double> number_in(const std::string& text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Numbers as they are; other values by their place among those that there are, which an attribute names.
void write_parameter(const hdf5::Group& root, const Sweep& sweep, std::size_t p) {
  const std::string& name = sweep.parameters[p];
  std::vector<double> numbers;
  std::vector<std::string> values;
  std::vector<std::int64_t> places;
  for (const Trial& trial : sweep.trials) {
    const std::string& text = trial.settings[p];
    if (const auto number = number_in(text)) numbers.push_back(*number);
    const auto found = std::ranges::find(values, text);
    places.push_back(found - values.begin());
    if (found == values.end()) values.push_back(text);
  }
  const std::string long_name = fmt::format("value of {} in the trial", name);
  if (numbers.size() == sweep.trials.size()) return write_column(root, name, numbers, "1", long_name);
  write_column(root, name, places, "1", long_name + ": index in its attribute values");
  if (values.size() <= longest_list) root.set_on(name, "values", values);
}

/// The curves of all trials, (trials x rows): NaN, or -1 for steps, where a trial has fewer rows than another.
void write_curves(const hdf5::Group& root, const std::vector<Trial>& trials, const std::string& kind,
                  const char* set, std::vector<EvalRow> Trial::*rows) {
  std::size_t most = 0;
  for (const Trial& trial : trials) most = std::max(most, (trial.*rows).size());
  if (most == 0) return;
  std::vector<std::int64_t> steps(trials.size() * most, -1);
  std::vector<double> losses(steps.size(), Trial::unknown), accuracies(losses);
  for (std::size_t t = 0; t < trials.size(); ++t) {
    for (std::size_t i = 0; i < (trials[t].*rows).size(); ++i) {
      const EvalRow& row = (trials[t].*rows)[i];
      steps[t * most + i] = row.step;
      losses[t * most + i] = row.loss;
      accuracies[t * most + i] = row.accuracy;
    }
  }
  write_coordinate(root, kind, most, fmt::format("number of the {}, from 0", kind));
  const auto write = [&](const std::string& what, const auto& numbers, const std::string& long_name) {
    const std::string name = fmt::format("{}_{}", kind, what);
    root.write(name, {trials.size(), most}, numbers.data());
    label(root, name, "1", long_name);
    root.attach_scale(name, "trial", 0);
    root.attach_scale(name, kind, 1);
  };
  write("step", steps, "optimizer steps done; -1: none");
  write("loss", losses, fmt::format("cross-entropy in nats, mean over the {}", set));
  write("accuracy", accuracies, fmt::format("fraction of the {} classified correctly", set));
}

double last(const std::vector<EvalRow>& rows, double EvalRow::*what) {
  return rows.empty() ? Trial::unknown : rows.back().*what;
}

double best_accuracy(const Trial& trial) {
  double best = Trial::unknown;
  for (const EvalRow& row : trial.validations) {
    if (row.step == trial.best_step) best = row.accuracy;
  }
  return best;
}

}  // namespace

std::vector<std::byte> sweep_image(const std::filesystem::path& path, const Sweep& sweep,
                                   const std::string& config_yaml, const Manifest& manifest) {
  const std::vector<Trial>& trials = sweep.trials;
  const hdf5::File file = hdf5::File::create(path.string());
  const hdf5::Group root = file.root();
  write_root_attributes(root, FileKind::sweep, config_yaml, manifest);
  write_coordinate(root, "trial", trials.size(),
                   "number of the trial, from 0; its attributes have paths and reasons");
  if (trials.size() <= longest_list) {
    std::vector<std::string> paths, reasons;
    for (const Trial& trial : trials) {
      paths.push_back(trial.path);
      reasons.push_back(trial.reason);
    }
    root.set_on("trial", "path", paths);
    root.set_on("trial", "reason", reasons);
  }
  root.set("parameters", sweep.parameters);
  for (std::size_t p = 0; p < sweep.parameters.size(); ++p) write_parameter(root, sweep, p);
  write_of_trials<std::uint8_t>(root, "state", trials, "1",
                                "what has become of it: index in its attribute names",
                                [](const Trial& trial) { return static_cast<std::uint8_t>(trial.state); });
  root.set_on("state", "names", std::vector<std::string>(std::begin(trial_states), std::end(trial_states)));
  write_of_trials<std::int64_t>(root, "steps", trials, "1", "optimizer steps done; -1: not known",
                                [](const Trial& trial) { return trial.steps; });
  write_of_trials<std::int64_t>(root, "ranks", trials, "1", "ranks of its last start; -1: not known",
                                [](const Trial& trial) { return trial.ranks; });
  write_of_trials<double>(root, "training_s", trials, "s", "time of its training, all starts together",
                          [](const Trial& trial) { return trial.training_s; });
  write_of_trials<double>(root, "test_loss", trials, "1", "of the last evaluation: cross-entropy in nats",
                          [](const Trial& trial) { return last(trial.evaluations, &EvalRow::loss); });
  write_of_trials<double>(root, "test_accuracy", trials, "1", "of the last evaluation, 0 to 1",
                          [](const Trial& trial) { return last(trial.evaluations, &EvalRow::accuracy); });
  write_of_trials<double>(root, "last_validation_loss", trials, "1",
                          "of the last validation: cross-entropy in nats",
                          [](const Trial& trial) { return last(trial.validations, &EvalRow::loss); });
  write_of_trials<double>(root, "last_validation_accuracy", trials, "1", "of the last validation, 0 to 1",
                          [](const Trial& trial) { return last(trial.validations, &EvalRow::accuracy); });
  write_of_trials<double>(root, "best_validation_accuracy", trials, "1", "of the best validation, 0 to 1",
                          best_accuracy);
  write_of_trials<std::int64_t>(root, "best_validation_step", trials, "1", "its step; -1: none",
                                [](const Trial& trial) { return trial.best_step; });
  write_curves(root, trials, "evaluation", "evaluated samples", &Trial::evaluations);
  write_curves(root, trials, "validation", "samples that are held out", &Trial::validations);
  return file.image();
}

}  // namespace fcmnist::store
