// Section model.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/key_tables.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

using Options = model::MlpOptions;

constexpr auto mlp = in(&RunConfig::model);

constexpr int widest_layer = 100'000;
constexpr int most_hidden_layers = 255;  // the key of a layer's random numbers has one byte for its number

constexpr Choice<model::Initializer> initializers[] = {
    {"he_normal", model::Initializer::he_normal},
    {"pytorch", model::Initializer::pytorch},
    {"xavier_uniform", model::Initializer::xavier_uniform},
    {"zeros", model::Initializer::zeros},
};

constexpr Choice<kernels::HalfType> half_types[] = {
    {"bfloat16", kernels::HalfType::bfloat16},
    {"float16", kernels::HalfType::float16},
};

std::vector<int> read_hidden_sizes(const Value& value, const std::string& key) {
  std::vector<int> sizes = read_integers(value, key, 1, widest_layer);
  if (sizes.size() <= most_hidden_layers) return sizes;
  throw UsageError(fmt::format("{}: {}: {} hidden layers; at most {} are possible", value.where, key,
                               sizes.size(), most_hidden_layers));
}

model::Dropout read_dropout(const Value& value, const std::string& key) {
  if (value.kind != Value::Kind::list) return read_number(value, key, fraction);
  if (value.items.empty()) unexpected(value, key, "a number, or a list with one for each hidden layer");
  std::vector<double> layers;
  for (const Value& item : value.items) layers.push_back(read_number(item, key, fraction));
  return model::Dropout(std::move(layers));
}

std::string write_dropout(const model::Dropout& dropout) {
  if (dropout.layers().empty()) return write(dropout.of(0));
  std::vector<std::string> numbers;
  for (const double layer : dropout.layers()) numbers.push_back(write(layer));
  return fmt::format("[{}]", fmt::join(numbers, ", "));
}

constexpr const char* one_model = "this program trains the fully-connected MNIST classifier only";
constexpr const char* one_activation =
    "other activation functions, and layers without one (null), come in a later release: write relu";

/// The reference's machine has one more 16-bit type.
Value half_type_of_fp16_type(const Value& value, const std::string& key) {
  if (value.kind == Value::Kind::scalar && lower_case(value.text) == "cbfloat16") {
    throw UsageError(
        fmt::format("{}: {} cbfloat16: that type belongs to the machine of the reference", value.where, key),
        fmt::format("{} bfloat16, or float16", key));
  }
  return value;
}

/// Of the releases in which one switch chose between the two types.
Value half_type_of_switch(const Value& value, const std::string& key) {
  Value type = value;
  type.text = read_bool(value, key) ? "bfloat16" : "float16";
  return type;
}

// clang-format off
const SettingRow settings[] = {
    {"name",            keeps,      only_word("fc_mnist", one_model)},
    {"hidden_sizes",    keeps,      optional(setting(mlp(&Options::hidden_sizes), read_hidden_sizes))},
    {"depth",           keeps,      optional(in_draft(&Draft::depth, 0, most_hidden_layers))},
    {"hidden_size",     keeps,      optional(in_draft(&Draft::hidden_size, 1, widest_layer))},
    {"num_classes",     keeps,      integer(mlp(&Options::num_classes), 2, 256)},
    {"input_dropout",   keeps,      number(mlp(&Options::input_dropout), fraction)},
    {"dropout",         keeps,      setting(mlp(&Options::dropout), read_dropout, write_dropout)},
    {"label_smoothing",     keeps,      number(mlp(&Options::label_smoothing), fraction)},
    {"activation_fn",   keeps,      only_word("relu", one_activation)},
    {"use_bias",        keeps,      boolean(mlp(&Options::use_bias))},
    {"initializer",     keeps,      choice(mlp(&Options::initializer), initializers)},
    {"mixed_precision", may_change, boolean(mlp(&Options::mixed_precision))},
    {"half_type",       may_change, optional(choice(mlp(&Options::half_type), half_types))},
};

constexpr OtherNameRow other_names[] = {
    {"fp16_type",    "model.half_type", half_type_of_fp16_type},
    {"use_bfloat16", "model.half_type", half_type_of_switch},
};

constexpr InertRow inert[] = {
    {"to_float16",           "model.mixed_precision and model.half_type choose the arithmetic", any_bool},
    {"compute_eval_metrics", "accuracy, loss and the confusion matrix are always computed", any_bool},
    {"disable_softmax",      "softmax and loss are one kernel here, so both are always computed", only_true},
    {"boundary_casting",     "activations have one type from the first layer to the logits"},
    {"allow_multireplica",   "the ranks that mpirun starts are the replicas; runconfig.num_replicas checks their number", any_bool},
    {"tf_summary",           "metrics go to <model_dir>/metrics.h5"},
};

constexpr FixedRow fixed[] = {
    {"lora_params",    "", "all weights are trained, without low-rank additions"},
    {"compression",    "", "weights are not compressed"},
    {"selective_grad", "", "all of the gradient is used"},
};
// clang-format on

}  // namespace

SectionTable model_table() {
  return {.name = "model",
          .settings = settings,
          .other_names = other_names,
          .inert = inert,
          .fixed = fixed,
          .refused = {}};
}

}  // namespace fcmnist::config
