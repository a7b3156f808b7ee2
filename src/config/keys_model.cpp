// Section model.

#include <fmt/format.h>

#include "config/key_rows.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

constexpr int widest_layer = 100'000;
constexpr int deepest = 255;  // a layer's number is a byte of the key of its random numbers

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

/// A key that takes one word only, because there is nothing else to choose yet.
Key only_word_key(const std::string& name, const std::string& word, const std::string& hint) {
  return active(
      "model", name, Resume::keeps,
      [word, hint](const Value& v, const std::string& key, Draft&) {
        if (lower_case(read_text(v, key)) != word) unexpected(v, key, word, hint);
      },
      [word](const RunConfig&) { return write(word); });
}

void read_hidden_sizes(const Value& value, const std::string& key, Draft& draft) {
  std::vector<int> sizes = read_integers(value, key, 1, widest_layer);
  if (sizes.size() > deepest) {
    throw UsageError(fmt::format("{}: {}: {} hidden layers; at most {} are possible", value.where, key,
                                 sizes.size(), deepest));
  }
  draft.config.model.hidden_sizes = std::move(sizes);
}

Key::Read into(std::optional<int> Draft::*member, int least, int most) {
  return [=](const Value& v, const std::string& key, Draft& draft) {
    draft.*member = read_integer(v, key, least, most);
  };
}

}  // namespace

std::vector<Key> model_keys() {
  const std::string section = "model";
  const std::string accuracy = "accuracy, loss and the confusion matrix are always computed";
  return {
      only_word_key("name", "fc_mnist", "this program trains the fully-connected MNIST classifier only"),
      active(section, "hidden_sizes", Resume::keeps, read_hidden_sizes,
             [](const RunConfig& c) { return write(c.model.hidden_sizes); }),
      active(section, "depth", Resume::keeps, into(&Draft::depth, 0, deepest), nullptr),
      active(section, "hidden_size", Resume::keeps, into(&Draft::hidden_size, 1, widest_layer), nullptr),
      integer_key(
          section, "num_classes", Resume::keeps, [](auto& c) -> auto& { return c.model.num_classes; }, 2,
          256),
      number_key(
          section, "dropout", Resume::keeps, [](auto& c) -> auto& { return c.model.dropout; }, fraction),
      only_word_key("activation_fn", "relu", "other activation functions come in a later release"),
      bool_key(
          section, "use_bias", Resume::keeps, [](auto& c) -> auto& { return c.model.use_bias; }),
      choice_key(
          section, "initializer", Resume::keeps, [](auto& c) -> auto& { return c.model.initializer; },
          initializers),
      active(
          section, "mixed_precision", Resume::may_change,
          [](const Value& v, const std::string& key, Draft& draft) {
            draft.config.model.mixed_precision = read_bool(v, key);
          },
          [](const RunConfig& c) {
            return c.model.mixed_precision ? write(*c.model.mixed_precision) : std::string();
          }),
      active(
          section, "half_type", Resume::may_change,
          [](const Value& v, const std::string& key, Draft& draft) {
            draft.config.model.half_type = read_choice(v, key, half_types);
          },
          [](const RunConfig& c) {
            return c.model.half_type ? write_choice(*c.model.half_type, half_types) : std::string();
          }),
      inert_key(section, "to_float16",
                "images are kept as bytes and become numbers of the precision when a batch is made",
                any_bool),
      inert_key(section, "compute_eval_metrics", accuracy, any_bool),
      inert_key(section, "disable_softmax",
                "softmax and loss are one kernel here, so both are always computed", only_true),
      inert_key(section, "fp16_type", "half_type is the key here: bfloat16 | float16"),
      inert_key(section, "boundary_casting",
                "activations stay in one type from the first layer to the logits"),
      inert_key(section, "tf_summary", "metrics go to <model_dir>/metrics.h5"),
  };
}

}  // namespace fcmnist::config
