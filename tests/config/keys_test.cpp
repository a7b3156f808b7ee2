#include "config/keys.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

/// A value of every active key that differs from the built-in one, or the only one there is.
const std::map<std::string, std::string>& other_values() {
  static const std::map<std::string, std::string> values = {
      {"train_input.data_dir", "\"/d a/#1\""},
      {"train_input.split", "test"},
      {"train_input.use_fake_data", "True"},
      {"train_input.download", "False"},
      {"train_input.mirrors", "[\"http://localhost:1\", \"file:///m\"]"},
      {"train_input.batch_size", "96"},
      {"train_input.batch_size_per_replica", "32"},
      {"train_input.drop_last_batch", "True"},
      {"train_input.shuffle", "False"},
      {"train_input.validation_size", "100"},
      {"train_input.augment_shift", "1.5"},
      {"train_input.augment_rotation", "10.0"},
      {"train_input.augment_scale", "0.25"},
      {"train_input.augment_shear", "0.3"},
      {"train_input.augment_elastic", "1.2"},
      {"train_input.mixup", "0.2"},
      {"eval_input.data_dir", "\"/e\""},
      {"eval_input.split", "train"},
      {"eval_input.use_fake_data", "True"},
      {"eval_input.download", "False"},
      {"eval_input.mirrors", "[\"https://localhost/x\"]"},
      {"eval_input.images", "\"/i\""},
      {"eval_input.batch_size", "100"},
      {"eval_input.batch_size_per_replica", "50"},
      {"eval_input.average_shifts", "2"},
      {"eval_input.weights", "trained"},
      {"model.name", "\"fc_mnist\""},
      {"model.hidden_sizes", "[20, 30, 40]"},
      {"model.num_classes", "47"},
      {"model.input_dropout", "0.125"},
      {"model.dropout", "[0.25, 0.5]"},
      {"model.label_smoothing", "0.1"},
      {"model.activation_fn", "\"relu\""},
      {"model.use_bias", "False"},
      {"model.initializer", "xavier_uniform"},
      {"model.mixed_precision", "True"},
      {"model.half_type", "float16"},
      {"optimizer.optimizer_type", "\"RAdam\""},
      {"optimizer.learning_rate", "0.001"},
      {"optimizer.lr_scaling", "sqrt"},
      {"optimizer.base_batch_size", "256"},
      {"optimizer.momentum", "0.5"},
      {"optimizer.use_nesterov", "False"},
      {"optimizer.weight_decay_rate", "0.001"},
      {"optimizer.exclude_from_weight_decay", "[\"bias\", \"last\"]"},
      {"optimizer.max_weight_norm", "3.5"},
      {"optimizer.beta1", "0.8"},
      {"optimizer.beta2", "0.95"},
      {"optimizer.eps", "0.001"},
      {"optimizer.amsgrad", "True"},
      {"optimizer.correct_bias", "False"},
      {"optimizer.momentum_decay", "0.01"},
      {"optimizer.alpha", "0.5"},
      {"optimizer.centered", "True"},
      {"optimizer.rho", "0.8"},
      {"optimizer.lr_decay", "0.1"},
      {"optimizer.initial_accumulator_value", "0.25"},
      {"optimizer.lambd", "0.125"},
      {"optimizer.t0", "1000.0"},
      {"optimizer.eta1", "0.25"},
      {"optimizer.eta2", "1.5"},
      {"optimizer.step_size_min", "0.001"},
      {"optimizer.step_size_max", "10.0"},
      {"optimizer.trust_coefficient", "0.01"},
      {"optimizer.max_gradient_norm", "1.5"},
      {"optimizer.max_gradient_value", "0.1"},
      {"optimizer.grad_accum_steps", "4"},
      {"optimizer.average_decay", "0.5"},
      {"optimizer.average_from_step", "20"},
      {"optimizer.loss_scaling_factor", "dynamic"},
      {"optimizer.initial_loss_scale", "256.0"},
      {"optimizer.steps_per_increase", "100"},
      {"optimizer.min_loss_scale", "0.5"},
      {"optimizer.max_loss_scale", "65536.0"},
      {"runconfig.mode", "eval"},
      {"runconfig.model_dir", "\"runs/\\\"a\\\"\""},
      {"runconfig.max_steps", "12345"},
      {"runconfig.num_epochs", "3"},
      {"runconfig.steps_per_epoch", "100"},
      {"runconfig.eval_steps", "10"},
      {"runconfig.eval_frequency", "200"},
      {"runconfig.early_stopping", "3"},
      {"runconfig.log_steps", "1"},
      {"runconfig.save_losses", "False"},
      {"runconfig.save_initial_checkpoint", "True"},
      {"runconfig.checkpoint_steps", "2000"},
      {"runconfig.checkpoint_interval_s", "12.5"},
      {"runconfig.metrics_interval_s", "7.5"},
      {"runconfig.keep_checkpoints", "2"},
      {"runconfig.trace_steps", "20"},
      {"runconfig.trace_first_step", "101"},
      {"runconfig.max_time", "\"100:02:03\""},
      {"runconfig.nan_policy", "skip"},
      {"runconfig.check_replicas_steps", "0"},
      {"runconfig.reproducible", "True"},
      {"runconfig.microbatch", "16"},
      {"runconfig.seed", "18446744073709551615"},
      {"runconfig.execution", "layer_pipelined"},
      {"runconfig.pipeline_stages", "1"},
      {"runconfig.num_replicas", "4"},
      {"runconfig.blas_threads", "2"},
      {"runconfig.exchange_streams", "2"},
      {"runconfig.gemm", "onednn"},
      {"runconfig.input_products", "dense"},
      {"runconfig.wire_type", "bfloat16"},
      {"runconfig.network_gbit_s", "100.0"},
      {"runconfig.network_latency_us", "2.5"},
      {"runconfig.plan", "auto"},
      {"runconfig.stall_timeout", "0.5"},
  };
  return values;
}

TEST(Keys, AreNamedOnceAndComplete) {
  std::set<std::string> names;
  for (const Key& key : all_keys()) {
    EXPECT_TRUE(names.insert(key.full_name()).second) << key.full_name() << " twice";
    const bool sets = key.kind == KeyKind::active || key.kind == KeyKind::alias;
    const bool is_other_name = key.kind == KeyKind::other_name;
    EXPECT_EQ(sets || key.kind == KeyKind::fixed, static_cast<bool>(key.read)) << key.full_name();
    EXPECT_EQ(key.kind == KeyKind::active, static_cast<bool>(key.write)) << key.full_name();
    EXPECT_EQ(sets || is_other_name, key.sentence.empty()) << key.full_name();
    EXPECT_EQ(is_other_name, !key.stands_for.empty()) << key.full_name();
    if (is_other_name) {
      ASSERT_NE(find_key(key.stands_for), nullptr) << key.stands_for;
      EXPECT_TRUE(find_key(key.stands_for)->stands_for.empty()) << "a name of a name: " << key.full_name();
    }
    EXPECT_EQ(find_key(key.full_name()), &key);
  }
  EXPECT_EQ(find_key("model.nothing"), nullptr);
  EXPECT_EQ(find_key(""), nullptr);
}

/// The built-in experiment with another value of this key, and of those that it needs.
RunConfig config_with(const std::string& key, const std::string& value) {
  std::vector<Override> overrides = {{key, value}};
  if (key == "runconfig.early_stopping") overrides.push_back({"train_input.validation_size", "100"});
  if (key == "optimizer.average_from_step") overrides.push_back({"optimizer.average_decay", "1"});
  return load_overrides(std::move(overrides)).config;
}

TEST(Keys, EveryActiveKeyIsWrittenAsItWasRead) {
  for (const Key& key : all_keys()) {
    if (key.kind != KeyKind::active) continue;
    ASSERT_TRUE(other_values().contains(key.full_name())) << "no value to try for " << key.full_name();
    const std::string& value = other_values().at(key.full_name());
    const RunConfig config = config_with(key.full_name(), value);
    EXPECT_EQ(key.write(config), value) << key.full_name();
    EXPECT_EQ(load_text(to_yaml(config)).config, config) << to_yaml(config);
  }
}

TEST(Keys, EveryActiveKeyChangesTheConfiguration) {
  const std::set<std::string> one_value_only = {"model.name", "model.activation_fn"};
  for (const auto& [name, value] : other_values()) {
    const bool changes = !(config_with(name, value) == built_in_experiment());
    EXPECT_EQ(changes, !one_value_only.contains(name)) << name;
  }
}

TEST(Keys, EveryActiveKeyRefusesNoValueAndAMapping) {
  for (const Key& key : all_keys()) {
    if (!key.read || key.kind == KeyKind::fixed) continue;
    const std::string none = usage_error_of([&] { load_overrides({{key.full_name(), ""}}); });
    EXPECT_TRUE(contains(none, "command line: " + key.full_name() + ": expected")) << none;
    EXPECT_TRUE(contains(none, "found no value")) << none;
    const std::string mapping = usage_error_of([&] { load_overrides({{key.full_name(), "{a: 1}"}}); });
    EXPECT_TRUE(contains(mapping, key.full_name())) << mapping;
  }
}

TEST(Keys, KeysWithoutEffectAreAcceptedAndSaySo) {
  for (const Key& key : all_keys()) {
    if (key.kind != KeyKind::inert) continue;
    std::string logged;
    for (const char* value : {"True", "2"}) {  // the first one that its type allows
      try {
        const Loaded loaded = load_overrides({{key.full_name(), value}});
        EXPECT_EQ(loaded.config, built_in_experiment()) << key.full_name();
        ASSERT_EQ(loaded.notes.size(), 1U) << key.full_name();
        logged = loaded.notes[0];
        break;
      } catch (const UsageError&) {
        continue;
      }
    }
    EXPECT_EQ(logged, key.full_name() + ": " + key.sentence);
  }
}

TEST(Keys, RefusedKeysSayWhy) {
  for (const Key& key : all_keys()) {
    if (key.kind != KeyKind::refused) continue;
    const std::string message = usage_error_of([&] { load_overrides({{key.full_name(), "True"}}); });
    EXPECT_TRUE(contains(message, key.full_name() + ": " + key.sentence)) << message;
    EXPECT_TRUE(contains(key.sentence, "later release")) << key.full_name();
  }
}

TEST(Keys, OtherNamesSetTheSameKey) {
  const auto same = [](const char* one, const char* value, const char* other, const char* its_value) {
    const RunConfig named = load_overrides({{one, value}}).config;
    EXPECT_EQ(named, load_overrides({{other, its_value}}).config) << one;
    EXPECT_NE(named, built_in_experiment()) << one << " sets nothing";
  };
  same("train_input.drop_last", "True", "train_input.drop_last_batch", "True");
  same("train_input.micro_batch_size", "8", "runconfig.microbatch", "8");
  same("model.fp16_type", "float16", "model.half_type", "float16");
  same("model.fp16_type", "bfloat16", "model.half_type", "bfloat16");
  same("model.use_bfloat16", "True", "model.half_type", "bfloat16");
  same("model.use_bfloat16", "False", "model.half_type", "float16");
  same("optimizer.weight_decay", "0.25", "optimizer.weight_decay_rate", "0.25");
  same("optimizer.nesterov", "False", "optimizer.use_nesterov", "False");
  same("runconfig.num_steps", "7", "runconfig.max_steps", "7");
  same("runconfig.max_checkpoints", "9", "runconfig.keep_checkpoints", "9");
  same("runconfig.keep_checkpoint_max", "9", "runconfig.keep_checkpoints", "9");
  same("runconfig.save_checkpoints_steps", "9", "runconfig.checkpoint_steps", "9");
  same("runconfig.steps_per_increase", "9", "optimizer.steps_per_increase", "9");
  EXPECT_EQ(load_overrides({{"train_input.micro_batch_size", "auto"}}).config.run.microbatch, 0);
}

TEST(Keys, TwoNamesOfAKeyMayAgreeButNotDiffer) {
  EXPECT_EQ(load_text("optimizer: {weight_decay: 0.5, weight_decay_rate: 0.50}\n")
                .config.optimizer.weight_decay_rate,
            0.5);
  const std::string message = usage_error_of([] {
    load_overrides({{"optimizer.nesterov", "True"}, {"optimizer.use_nesterov", "False"}});
  });
  EXPECT_TRUE(contains(message, "optimizer.use_nesterov False and optimizer.nesterov True")) << message;
  // The command line still wins over the file, under any name.
  EXPECT_EQ(load_text("optimizer: {weight_decay: 0.5}\n", {{"optimizer.weight_decay_rate", "0.25"}})
                .config.optimizer.weight_decay_rate,
            0.25);
  EXPECT_EQ(load_text("optimizer: {weight_decay_rate: 0.5}\n", {{"optimizer.weight_decay", "0.25"}})
                .config.optimizer.weight_decay_rate,
            0.25);
}

TEST(Keys, NullMeansNotGiven) {
  for (const Key& key : all_keys()) {
    const Key& target = key.stands_for.empty() ? key : *find_key(key.stands_for);
    if (!target.may_be_null()) continue;
    const Loaded loaded = load_text(key.section + ":\n  " + key.name + ": null\n");
    EXPECT_EQ(loaded.config, RunConfig()) << key.full_name();
    EXPECT_TRUE(loaded.notes.empty()) << key.full_name();
  }
  const char* file =
      "runconfig: {max_steps: 5, seed: 7}\nmodel: {fp16_type: float16, depth: 1, hidden_size: 2}\n";
  const RunConfig config = load_text(file, {{"runconfig.max_steps", "null"},
                                            {"model.half_type", "~"},
                                            {"model.depth", "null"},
                                            {"model.hidden_size", "null"}})
                               .config;
  EXPECT_EQ(config.run.num_epochs, RunConfig().run.num_epochs) << "the length of the file is taken back";
  EXPECT_EQ(config.run.max_steps, 0);
  EXPECT_EQ(config.run.seed, 7U);
  EXPECT_EQ(config.model, RunConfig().model);
  EXPECT_EQ(load_text("model:\n  fp16_type: null\n  half_type: float16\n").config.model.half_type,
            kernels::HalfType::float16)
      << "null beside the other name";
}

TEST(Keys, FixedKeysTakeTheirOneValue) {
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"optimizer.dampening", "0.0"},
                                          {"optimizer.maximize", "no"},
                                          {"optimizer.adjust_learning_rate", "{}"},
                                          {"optimizer.adam", "False"},
                                          {"runconfig.load_checkpoint_states", "ALL"},
                                          {"runconfig.autoload_last_checkpoint", "True"}}) {
    const Loaded loaded = load_text(key.substr(0, key.find('.')) + ": {" + key.substr(key.find('.') + 1) +
                                    ": " + value + "}\n");
    EXPECT_EQ(loaded.config, RunConfig()) << key;
    EXPECT_TRUE(loaded.notes.empty()) << key;
  }
}

TEST(Keys, TheReferencesKeysAreAllInTheTable) {
  for (const std::string section : {"train_input", "eval_input"}) {
    for (const char* name : {"data_dir", "batch_size", "drop_last_batch", "shuffle", "num_workers",
                             "to_float16", "use_fake_data", "split", "data_processor"}) {
      EXPECT_NE(find_key(section + "." + name), nullptr) << section << "." << name;
    }
  }
  for (const char* name : {"model.name",
                           "model.mixed_precision",
                           "model.depth",
                           "model.hidden_size",
                           "model.hidden_sizes",
                           "model.dropout",
                           "model.activation_fn",
                           "model.use_bias",
                           "model.compute_eval_metrics",
                           "model.disable_softmax",
                           "model.to_float16",
                           "optimizer.optimizer_type",
                           "optimizer.learning_rate",
                           "optimizer.momentum",
                           "optimizer.use_nesterov",
                           "optimizer.weight_decay_rate",
                           "optimizer.beta1",
                           "optimizer.beta2",
                           "optimizer.eps",
                           "optimizer.correct_bias",
                           "optimizer.exclude_from_weight_decay",
                           "optimizer.max_gradient_norm",
                           "optimizer.max_gradient_value",
                           "optimizer.loss_scaling_factor",
                           "optimizer.initial_loss_scale",
                           "optimizer.steps_per_increase",
                           "optimizer.min_loss_scale",
                           "optimizer.max_loss_scale",
                           "optimizer.grad_accum_steps",
                           "runconfig.max_steps",
                           "runconfig.num_epochs",
                           "runconfig.num_steps",
                           "runconfig.steps_per_epoch",
                           "runconfig.eval_steps",
                           "runconfig.eval_frequency",
                           "runconfig.log_steps",
                           "runconfig.checkpoint_steps",
                           "runconfig.seed",
                           "runconfig.save_losses",
                           "runconfig.save_initial_checkpoint",
                           "runconfig.check_loss_values",
                           "runconfig.model_dir",
                           "runconfig.num_replicas",
                           "runconfig.mode"}) {
    EXPECT_NE(find_key(name), nullptr) << name;
  }
}

TEST(NearestKey, FindsSlipsInNameAndSection) {
  EXPECT_EQ(nearest_key("train_input.batchsize"), "train_input.batch_size");
  EXPECT_EQ(nearest_key("eval_inpt.batch_size"), "eval_input.batch_size");
  EXPECT_EQ(nearest_key("model.learning_rate"), "optimizer.learning_rate");
  EXPECT_EQ(nearest_key("optimiser.momentm"), "optimizer.momentum");
  EXPECT_EQ(nearest_key("seed"), "runconfig.seed");
  EXPECT_EQ(nearest_key("eval_input.bs"), "eval_input.batch_size")
      << "a synonym, in the section that was named";
  EXPECT_EQ(nearest_key("lr"), "optimizer.learning_rate");
  EXPECT_EQ(nearest_key("model.max-grad-norm"), "optimizer.max_gradient_norm");
  EXPECT_EQ(nearest_key("runconfig.zzzzzzzzzzzz"), "");
  EXPECT_EQ(nearest_key(""), "");
  EXPECT_EQ(nearest_key("."), "");
}

}  // namespace
}  // namespace fcmnist::config
