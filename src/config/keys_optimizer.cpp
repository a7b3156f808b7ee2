// Section optimizer.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/key_tables.hpp"
#include "config/learning_rate.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

using Options = optim::OptimizerOptions;
using Scale = optim::LossScaleOptions;

constexpr auto optimizer = in(&RunConfig::optimizer);

constexpr Choice<optim::OptimizerType> optimizer_types[] = {
    {"SGD", optim::OptimizerType::sgd},
};

// Optimizers of the reference's releases that this release does not have.
constexpr std::array later_optimizers = {"adam",      "adamw",   "adamax", "adamwbase", "adadelta", "adagrad",
                                         "adafactor", "asgd",    "lamb",   "lars",      "lion",     "nadam",
                                         "radam",     "rmsprop", "rprop",  "sparseadam"};

optim::OptimizerType read_optimizer_type(const Value& value, const std::string& key) {
  const std::string word = lower_case(read_text(value, key));
  std::vector<std::string_view> words;
  for (const auto& type : optimizer_types) {
    if (lower_case(type.word) == word) return type.meaning;
    words.push_back(type.word);
  }
  if (std::ranges::find(later_optimizers, word) != later_optimizers.end()) {
    throw UsageError(fmt::format("{}: {}: {} comes in a later release", value.where, key, value.text),
                     "use SGD, with momentum and use_nesterov");
  }
  unexpected(value, key, fmt::format("{}", fmt::join(words, ", ")));
}

std::string write_optimizer_type(optim::OptimizerType type) {
  return write(write_choice(type, optimizer_types));
}

constexpr const char* dynamic = "dynamic";
constexpr double largest_loss_scale = 0x1p60;  // leaves room for gradients in float
constexpr NumberRange loss_scales{0, largest_loss_scale, false, true, "a number above 0, at most 2^60"};

double read_loss_scaling_factor(const Value& value, const std::string& key) {
  constexpr NumberRange factors{0, largest_loss_scale, false, true, "a number above 0, or dynamic"};
  const bool is_word = value.kind == Value::Kind::scalar && lower_case(value.text) == dynamic;
  return is_word ? Scale::dynamic : read_number(value, key, factors);
}

std::string write_loss_scaling_factor(double factor) {
  return factor == Scale::dynamic ? dynamic : write(factor);
}

// clang-format off
const SettingRow settings[] = {
    {"optimizer_type",      keeps,      setting(optimizer(&Options::type), read_optimizer_type, write_optimizer_type)},
    {"learning_rate",       keeps,      optional(setting(optimizer(&Options::learning_rate), read_learning_rate, write_learning_rate))},
    {"momentum",            keeps,      number(optimizer(&Options::momentum), fraction)},
    {"use_nesterov",        keeps,      boolean(optimizer(&Options::use_nesterov))},
    {"weight_decay_rate",   keeps,      number(optimizer(&Options::weight_decay_rate), not_negative)},
    {"max_gradient_norm",   keeps,      optional(number(optimizer(&Options::max_gradient_norm), not_negative))},
    {"max_gradient_value",  keeps,      optional(number(optimizer(&Options::max_gradient_value), not_negative))},
    {"grad_accum_steps",    keeps,      optional(integer(optimizer(&Options::grad_accum_steps), 1, 1'000'000))},
    {"loss_scaling_factor", may_change, optional(setting(optimizer(&Options::loss_scale, &Scale::factor), read_loss_scaling_factor, write_loss_scaling_factor))},
    {"initial_loss_scale",  may_change, optional(number(optimizer(&Options::loss_scale, &Scale::initial), loss_scales))},
    {"steps_per_increase",  may_change, optional(integer(optimizer(&Options::loss_scale, &Scale::steps_per_increase), 1, most_steps))},
    {"min_loss_scale",      may_change, optional(number(optimizer(&Options::loss_scale, &Scale::min), loss_scales))},
    {"max_loss_scale",      may_change, optional(number(optimizer(&Options::loss_scale, &Scale::max), loss_scales))},
};

constexpr OtherNameRow other_names[] = {
    {"weight_decay", "optimizer.weight_decay_rate"},
    {"nesterov",     "optimizer.use_nesterov"},
};

constexpr InertRow inert[] = {
    {"log_summaries", "metrics go to <model_dir>/metrics.h5"},
};

constexpr FixedRow fixed[] = {
    {"dampening",              "0",     "the momentum takes each gradient whole", "write 0, or delete this key"},
    {"maximize",               "False", "a loss is made small", "write False, or delete this key"},
    {"adjust_learning_rate",   "",      "all layers have one learning rate"},
    {"disable_lr_steps_reset", "False", "each schedule of a list counts its own steps", "write False, and give each schedule its own steps"},
};

constexpr RefusedRow refused[] = {
    {"beta1",                     "Adam and its kin"},
    {"beta2",                     "Adam and its kin"},
    {"betas",                     "Adam and its kin"},
    {"eps",                       "Adam, RMSprop and their kin"},
    {"epsilon",                   "Adam, RMSprop and their kin"},
    {"amsgrad",                   "Adam"},
    {"correct_bias",              "AdamW"},
    {"exclude_from_weight_decay", "AdamW and Lamb"},
    {"adam",                      "Lamb"},
    {"alpha",                     "RMSprop"},
    {"rho",                       "Adadelta"},
    {"centered",                  "RMSprop"},
    {"momentum_decay",            "NAdam"},
    {"lr_decay",                  "Adagrad"},
    {"initial_accumulator_value", "Adagrad"},
    {"lambd",                     "ASGD"},
    {"t0",                        "ASGD"},
    {"eta1",                      "Rprop"},
    {"eta2",                      "Rprop"},
    {"etas",                      "Rprop"},
    {"step_size_min",             "Rprop"},
    {"step_size_max",             "Rprop"},
    {"step_sizes",                "Rprop"},
    {"eps1",                      "Adafactor"},
    {"eps2",                      "Adafactor"},
    {"clip_threshold",            "Adafactor"},
    {"decay_rate",                "Adafactor"},
    {"scale_parameter",           "Adafactor"},
    {"relative_step",             "Adafactor"},
    {"warmup_init",               "Adafactor"},
};
// clang-format on

}  // namespace

SectionTable optimizer_table() {
  return {.name = "optimizer",
          .settings = settings,
          .other_names = other_names,
          .inert = inert,
          .fixed = fixed,
          .refused = refused};
}

}  // namespace fcmnist::config
