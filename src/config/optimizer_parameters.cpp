#include "config/optimizer_parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "config/readers.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

using optim::OptimizerType;

struct TypeRow {
  const char* word;
  OptimizerType type;
  std::vector<std::string_view> parameters;  ///< of section optimizer
};

const std::vector<TypeRow>& types() {
  static const std::vector<TypeRow> rows = {
      {"SGD", OptimizerType::sgd, {"momentum", "use_nesterov"}},
      {"Adam", OptimizerType::adam, {"beta1", "beta2", "eps", "amsgrad", "correct_bias"}},
      {"AdamW", OptimizerType::adamw, {"beta1", "beta2", "eps", "amsgrad", "correct_bias"}},
      {"Adamax", OptimizerType::adamax, {"beta1", "beta2", "eps"}},
      {"NAdam", OptimizerType::nadam, {"beta1", "beta2", "eps", "momentum_decay"}},
      {"RAdam", OptimizerType::radam, {"beta1", "beta2", "eps"}},
      {"RMSprop", OptimizerType::rmsprop, {"alpha", "eps", "momentum", "centered"}},
      {"Rprop", OptimizerType::rprop, {"eta1", "eta2", "step_size_min", "step_size_max"}},
      {"Adagrad", OptimizerType::adagrad, {"lr_decay", "initial_accumulator_value", "eps"}},
      {"Adadelta", OptimizerType::adadelta, {"rho", "eps"}},
      {"ASGD", OptimizerType::asgd, {"lambd", "alpha", "t0"}},
      {"Lion", OptimizerType::lion, {"beta1", "beta2"}},
      {"LARS", OptimizerType::lars, {"momentum", "use_nesterov", "trust_coefficient", "eps"}},
      {"LAMB", OptimizerType::lamb, {"beta1", "beta2", "eps", "correct_bias"}},
  };
  return rows;
}

// Optimizers of the reference's releases that this release does not have.
constexpr std::array later_types = {"adafactor", "sparseadam"};

const TypeRow& row_of(OptimizerType type) { return *std::ranges::find(types(), type, &TypeRow::type); }

bool takes(const TypeRow& row, std::string_view parameter) {
  return std::ranges::find(row.parameters, parameter) != row.parameters.end();
}

/// The parameters that have another value than when they are not given.
std::vector<std::string_view> parameters_set(const optim::OptimizerOptions& o) {
  const std::pair<std::string_view, bool> all[] = {
      {"momentum", o.momentum != 0.0},
      {"use_nesterov", o.use_nesterov},
      {"beta1", o.beta1.has_value()},
      {"beta2", o.beta2.has_value()},
      {"eps", o.eps.has_value()},
      {"amsgrad", o.amsgrad},
      {"correct_bias", !o.correct_bias},
      {"momentum_decay", o.momentum_decay.has_value()},
      {"alpha", o.alpha.has_value()},
      {"centered", o.centered},
      {"rho", o.rho.has_value()},
      {"lr_decay", o.lr_decay.has_value()},
      {"initial_accumulator_value", o.initial_accumulator_value.has_value()},
      {"lambd", o.lambd.has_value()},
      {"t0", o.t0.has_value()},
      {"eta1", o.eta1.has_value()},
      {"eta2", o.eta2.has_value()},
      {"step_size_min", o.step_size_min.has_value()},
      {"step_size_max", o.step_size_max.has_value()},
      {"trust_coefficient", o.trust_coefficient.has_value()},
  };
  std::vector<std::string_view> set;
  for (const auto& [name, is_set] : all) {
    if (is_set) set.push_back(name);
  }
  return set;
}

}  // namespace

OptimizerType read_optimizer_type(const Value& value, const std::string& key) {
  std::string word = lower_case(read_text(value, key));
  if (word == "adamwbase") word = "adamw";  // the reference's other name for it
  std::vector<std::string_view> words;
  for (const TypeRow& row : types()) {
    if (lower_case(row.word) == word) return row.type;
    words.emplace_back(row.word);
  }
  const std::string all = fmt::format("{}", fmt::join(words, ", "));
  if (std::ranges::find(later_types, word) != later_types.end()) {
    throw UsageError(fmt::format("{}: {}: {} comes in a later release", value.where, key, value.text),
                     "there are " + all);
  }
  unexpected(value, key, all);
}

std::string write_optimizer_type(OptimizerType type) { return write(std::string(row_of(type).word)); }

std::vector<std::string> notes_on_unused_parameters(const Given& given,
                                                    const optim::OptimizerOptions& optimizer) {
  const TypeRow& chosen = row_of(optimizer.type);
  std::vector<std::string_view> unused = parameters_set(optimizer);
  std::erase_if(unused, [&](std::string_view parameter) { return takes(chosen, parameter); });
  if (optimizer.type == OptimizerType::rprop && optimizer.weight_decay_rate > 0.0) {
    unused.emplace_back("weight_decay_rate");
  }
  std::vector<std::string> notes;
  for (const std::string_view parameter : unused) {
    const std::string key = fmt::format("optimizer.{}", parameter);
    notes.push_back(
        fmt::format("{}: {} changes nothing: {} has no such parameter", given.where(key), key, chosen.word));
  }
  return notes;
}

}  // namespace fcmnist::config
