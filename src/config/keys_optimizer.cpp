// Section optimizer.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/key_rows.hpp"
#include "config/learning_rate.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

// Optimizers of the reference's releases that this release does not have.
constexpr std::array later_optimizers = {"adam",      "adamw",   "adamax", "adamwbase", "adadelta", "adagrad",
                                         "adafactor", "asgd",    "lamb",   "lars",      "lion",     "nadam",
                                         "radam",     "rmsprop", "rprop",  "sparseadam"};

void read_optimizer_type(const Value& value, const std::string& key, Draft&) {
  const std::string word = lower_case(read_text(value, key));
  if (word == "sgd") return;
  if (std::find(later_optimizers.begin(), later_optimizers.end(), word) != later_optimizers.end()) {
    throw UsageError(fmt::format("{}: {}: {} comes in a later release", value.where, key, value.text),
                     "use SGD, with momentum and use_nesterov");
  }
  unexpected(value, key, "SGD");
}

constexpr double largest_loss_scale = 0x1p60;  // leaves room for gradients in float
constexpr NumberRange loss_scales{0, largest_loss_scale, false, true, "a number above 0, at most 2^60"};

void read_loss_scaling_factor(const Value& value, const std::string& key, Draft& draft) {
  constexpr NumberRange factors{0, largest_loss_scale, false, true, "a number above 0, or dynamic"};
  const bool is_word = value.kind == Value::Kind::scalar && lower_case(value.text) == "dynamic";
  draft.config.optimizer.loss_scale.factor =
      is_word ? optim::LossScaleOptions::dynamic : read_number(value, key, factors);
}

std::string write_loss_scaling_factor(const RunConfig& config) {
  const std::optional<double> factor = config.optimizer.loss_scale.factor;
  if (!factor) return {};
  return *factor == optim::LossScaleOptions::dynamic ? "dynamic" : write(*factor);
}

Key later_key(const std::string& name, const std::string& owner) {
  return refused_key("optimizer", name,
                     fmt::format("a setting of {}, which comes in a later release; SGD has none", owner));
}

}  // namespace

std::vector<Key> optimizer_keys() {
  const std::string section = "optimizer";
  constexpr Resume keeps = Resume::keeps, may_change = Resume::may_change;
  std::vector<Key> keys = {
      active(section, "optimizer_type", keeps, read_optimizer_type,
             [](const RunConfig&) { return write(std::string("SGD")); }),
      active(
          section, "learning_rate", keeps,
          [](const Value& v, const std::string& key, Draft& draft) {
            draft.config.optimizer.learning_rate = read_learning_rate(v, key);
          },
          [](const RunConfig& c) { return write_learning_rate(c.optimizer.learning_rate); }),
      number_key(
          section, "momentum", keeps, [](auto& c) -> auto& { return c.optimizer.momentum; }, fraction),
      bool_key(
          section, "use_nesterov", keeps, [](auto& c) -> auto& { return c.optimizer.use_nesterov; }),
      number_key(
          section, "weight_decay_rate", keeps, [](auto& c) -> auto& { return c.optimizer.weight_decay_rate; },
          not_negative),
      number_key(
          section, "max_gradient_norm", keeps, [](auto& c) -> auto& { return c.optimizer.max_gradient_norm; },
          not_negative),
      number_key(
          section, "max_gradient_value", keeps,
          [](auto& c) -> auto& { return c.optimizer.max_gradient_value; }, not_negative),
      integer_key(
          section, "grad_accum_steps", keeps, [](auto& c) -> auto& { return c.optimizer.grad_accum_steps; },
          1, 1'000'000),
      active(section, "loss_scaling_factor", may_change, read_loss_scaling_factor, write_loss_scaling_factor),
      number_key(
          section, "initial_loss_scale", may_change,
          [](auto& c) -> auto& { return c.optimizer.loss_scale.initial; }, loss_scales),
      integer_key(
          section, "steps_per_increase", may_change,
          [](auto& c) -> auto& { return c.optimizer.loss_scale.steps_per_increase; }, 1L, most_steps),
      number_key(
          section, "min_loss_scale", may_change, [](auto& c) -> auto& { return c.optimizer.loss_scale.min; },
          loss_scales),
      number_key(
          section, "max_loss_scale", may_change, [](auto& c) -> auto& { return c.optimizer.loss_scale.max; },
          loss_scales),
      inert_key(section, "log_summaries", "metrics go to <model_dir>/metrics.h5"),
      later_key("beta1", "Adam and its kin"),
      later_key("beta2", "Adam and its kin"),
      later_key("betas", "Adam and its kin"),
      later_key("eps", "Adam, RMSprop and their kin"),
      later_key("amsgrad", "Adam"),
      later_key("correct_bias", "AdamW"),
      later_key("exclude_from_weight_decay", "AdamW and Lamb"),
      later_key("adam", "Lamb"),
      later_key("alpha", "RMSprop"),
      later_key("rho", "Adadelta"),
  };
  return keys;
}

}  // namespace fcmnist::config
