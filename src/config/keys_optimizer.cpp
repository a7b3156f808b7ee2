// Section optimizer.

#include <fmt/format.h>

#include <limits>

#include "config/key_tables.hpp"
#include "config/learning_rate.hpp"
#include "config/optimizer_parameters.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

using Options = optim::OptimizerOptions;
using Scale = optim::LossScaleOptions;

constexpr auto optimizer = in(&RunConfig::optimizer);

/// Words, or none of them.
std::vector<std::string> read_words(const Value& value, const std::string& key) {
  const bool is_empty = value.kind == Value::Kind::list && value.items.empty();
  return is_empty ? std::vector<std::string>() : read_texts(value, key);
}

/// A list of two numbers that two keys say too.
template <class Member>
Setting pair(Member first, Member second, NumberRange first_range, NumberRange second_range) {
  return {[=](const Value& value, const std::string& key, Draft& draft) {
            if (value.kind != Value::Kind::list || value.items.size() != 2)
              unexpected(value, key, "a list of two numbers");
            first(draft.config) = read_number(value.items[0], key, first_range);
            second(draft.config) = read_number(value.items[1], key, second_range);
          },
          nullptr};
}

/// A truth value that is written only where it is not `usual`.
Setting flag(bool Options::*member, bool usual) {
  Setting setting = boolean(optimizer(member));
  setting.write = [=](const RunConfig& config) {
    const bool value = config.optimizer.*member;
    return value == usual ? std::string() : write(value);
  };
  return setting;
}

constexpr NumberRange shrinking{0, 1, false, false, "a number between 0 and 1"};
constexpr NumberRange growing{1, std::numeric_limits<double>::max(), false, true, "a number above 1"};

constexpr Choice<optim::RateScaling> rate_scalings[] = {
    {"none", optim::RateScaling::none},
    {"linear", optim::RateScaling::linear},
    {"sqrt", optim::RateScaling::sqrt},
};

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
    {"lr_scaling",          keeps,      choice(optimizer(&Options::lr_scaling), rate_scalings)},
    {"base_batch_size",     keeps,      integer(optimizer(&Options::base_batch_size), 1, 1'000'000'000)},
    {"momentum",            keeps,      number(optimizer(&Options::momentum), fraction)},
    {"use_nesterov",        keeps,      boolean(optimizer(&Options::use_nesterov))},
    {"weight_decay_rate",   keeps,      number(optimizer(&Options::weight_decay_rate), not_negative)},
    {"max_weight_norm",     keeps,      number(optimizer(&Options::max_weight_norm), not_negative)},
    {"exclude_from_weight_decay", keeps, optional(setting(optimizer(&Options::exclude_from_weight_decay), read_words))},
    {"beta1",               keeps,      optional(number(optimizer(&Options::beta1), fraction))},
    {"beta2",               keeps,      optional(number(optimizer(&Options::beta2), fraction))},
    {"betas",               keeps,      pair(optimizer(&Options::beta1), optimizer(&Options::beta2), fraction, fraction)},
    {"eps",                 keeps,      optional(number(optimizer(&Options::eps), above_zero))},
    {"amsgrad",             keeps,      flag(&Options::amsgrad, false)},
    {"correct_bias",        keeps,      flag(&Options::correct_bias, true)},
    {"momentum_decay",      keeps,      optional(number(optimizer(&Options::momentum_decay), not_negative))},
    {"alpha",               keeps,      optional(number(optimizer(&Options::alpha), not_negative))},
    {"centered",            keeps,      flag(&Options::centered, false)},
    {"rho",                 keeps,      optional(number(optimizer(&Options::rho), fraction))},
    {"lr_decay",            keeps,      optional(number(optimizer(&Options::lr_decay), not_negative))},
    {"initial_accumulator_value", keeps, optional(number(optimizer(&Options::initial_accumulator_value), not_negative))},
    {"lambd",               keeps,      optional(number(optimizer(&Options::lambd), not_negative))},
    {"t0",                  keeps,      optional(number(optimizer(&Options::t0), not_negative))},
    {"eta1",                keeps,      optional(number(optimizer(&Options::eta1), shrinking))},
    {"eta2",                keeps,      optional(number(optimizer(&Options::eta2), growing))},
    {"etas",                keeps,      pair(optimizer(&Options::eta1), optimizer(&Options::eta2), shrinking, growing)},
    {"step_size_min",       keeps,      optional(number(optimizer(&Options::step_size_min), not_negative))},
    {"step_size_max",       keeps,      optional(number(optimizer(&Options::step_size_max), above_zero))},
    {"step_sizes",          keeps,      pair(optimizer(&Options::step_size_min), optimizer(&Options::step_size_max), not_negative, above_zero)},
    {"trust_coefficient",   keeps,      optional(number(optimizer(&Options::trust_coefficient), above_zero))},
    {"max_gradient_norm",   keeps,      optional(number(optimizer(&Options::max_gradient_norm), not_negative))},
    {"max_gradient_value",  keeps,      optional(number(optimizer(&Options::max_gradient_value), not_negative))},
    {"grad_accum_steps",    keeps,      optional(integer(optimizer(&Options::grad_accum_steps), 1, 1'000'000))},
    {"average_decay",       keeps,      number(optimizer(&Options::average_decay), {0, 1, true, true, "a number from 0 to 1"})},
    {"average_from_step",   keeps,      integer(optimizer(&Options::average_from_step), 0, most_steps)},
    {"loss_scaling_factor", may_change, optional(setting(optimizer(&Options::loss_scale, &Scale::factor), read_loss_scaling_factor, write_loss_scaling_factor))},
    {"initial_loss_scale",  may_change, optional(number(optimizer(&Options::loss_scale, &Scale::initial), loss_scales))},
    {"steps_per_increase",  may_change, optional(integer(optimizer(&Options::loss_scale, &Scale::steps_per_increase), 1, most_steps))},
    {"min_loss_scale",      may_change, optional(number(optimizer(&Options::loss_scale, &Scale::min), loss_scales))},
    {"max_loss_scale",      may_change, optional(number(optimizer(&Options::loss_scale, &Scale::max), loss_scales))},
};

constexpr OtherNameRow other_names[] = {
    {"weight_decay", "optimizer.weight_decay_rate"},
    {"nesterov",     "optimizer.use_nesterov"},
    {"epsilon",      "optimizer.eps"},
};

constexpr InertRow inert[] = {
    {"log_summaries", "metrics go to <model_dir>/metrics.h5"},
};

constexpr FixedRow fixed[] = {
    {"dampening",              "0",     "the momentum takes each gradient whole", "write 0, or delete this key"},
    {"maximize",               "False", "a loss is made small", "write False, or delete this key"},
    {"adjust_learning_rate",   "",      "all layers have one learning rate"},
    {"adam",                   "False", "LAMB without its trust ratio is AdamW", "write False, or optimizer_type AdamW"},
    {"disable_lr_steps_reset", "False", "each schedule of a list counts its own steps", "write False, and give each schedule its own steps"},
};

constexpr RefusedRow refused[] = {
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
