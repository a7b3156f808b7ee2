#include "config/load.hpp"

#include <gtest/gtest.h>

#include <string>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

/// The reference's shipped file, release 1.5.
constexpr const char* reference_file = R"(train_input:
    data_processor: "get_train_dataloader"
    data_dir: "./data/mnist/train"
    # Training batch size is set to be the same as in paper.
    batch_size: 128
    drop_last_batch: True
    shuffle: True

eval_input:
    data_processor: "get_eval_dataloader"
    data_dir: "./data/mnist/val"
    batch_size: 128
    num_workers: 0
    drop_last_batch: True

model:
    name: "fc_mnist"
    mixed_precision: True
    depth: 10
    hidden_size: 50
    dropout: 0.0
    activation_fn: "relu"

optimizer:
    optimizer_type: "SGD"
    learning_rate: 0.001
    momentum: 0.9
    loss_scaling_factor: 1.0

runconfig:
    max_steps: 10000
    checkpoint_steps: 2000
    log_steps: 50
    seed: 1
    save_losses: True
)";

TEST(Load, NothingGivenIsTheBuiltInExperiment) {
  const Loaded loaded = load({});
  EXPECT_EQ(loaded.config, built_in_experiment());
  EXPECT_TRUE(loaded.notes.empty());
}

TEST(Load, AcceptsTheReferencesFile) {
  const Loaded loaded = load_text(reference_file);
  const RunConfig& c = loaded.config;
  EXPECT_EQ(c.train_input.data_dir, "./data/mnist/train");
  EXPECT_EQ(c.eval_input.data_dir, "./data/mnist/val");
  EXPECT_EQ(c.train_input.batch_size, 128);
  EXPECT_TRUE(c.train_input.drop_last_batch);
  EXPECT_FALSE(c.eval_input.drop_last_batch);
  EXPECT_EQ(c.model.hidden_sizes, std::vector<int>(10, 50));
  EXPECT_EQ(c.optimizer.learning_rate[0].initial_learning_rate, 0.001);
  EXPECT_EQ(c.optimizer.momentum, 0.9);
  EXPECT_EQ(c.run.max_steps, 10000);
  EXPECT_EQ(c.run.num_epochs, 0);
  EXPECT_EQ(c.checkpoint.checkpoint_steps, 2000);
  EXPECT_EQ(c.model.mixed_precision, true);
  EXPECT_EQ(c.model.half_type, std::nullopt);
  EXPECT_EQ(c.optimizer.loss_scale, optim::LossScaleOptions{.factor = 1.0});
  EXPECT_EQ(loaded.notes,
            (std::vector<std::string>{
                "train_input.data_processor, eval_input.data_processor: the MNIST reader is "
                "built in; nothing is loaded "
                "by name",
                "eval_input.num_workers: images are in memory, so there are no loader processes",
                "eval_input.drop_last_batch: every evaluation sample is scored exactly once"}));
}

TEST(Load, AcceptsTheFileOfLaterReleases) {
  const Loaded loaded = load_text(R"(
train_input: {data_processor: get_train_dataloader, data_dir: ./data, batch_size: 4, drop_last_batch: True, split: train}
eval_input: {data_processor: get_eval_dataloader, data_dir: ./data, batch_size: 4, split: val, num_workers: 0}
model: {name: fc_mnist, mixed_precision: False, depth: 10, hidden_size: 50, dropout: 0.0, activation_fn: relu,
        fp16_type: bfloat16}
optimizer: {optimizer_type: SGD, learning_rate: 0.001, momentum: 0.0, loss_scaling_factor: dynamic}
runconfig: {max_steps: 1000, eval_frequency: 500, checkpoint_steps: 2000, log_steps: 50, seed: 1, save_losses: True,
            cs_ip: 1.2.3.4, num_csx: 1, mount_dirs: [/a, /b], python_paths: [/c], compile_dir: x, check_loss_values: True}
)");
  EXPECT_EQ(loaded.config.train_input.batch_size, 4);
  EXPECT_EQ(loaded.config.optimizer.momentum, 0.0);
  EXPECT_EQ(loaded.config.run.eval_frequency, 500);
  EXPECT_EQ(loaded.config.eval_input.split, data::Split::test);
  EXPECT_EQ(loaded.config.optimizer.loss_scale.factor, optim::LossScaleOptions::dynamic);
  EXPECT_EQ(loaded.config.model.half_type, kernels::HalfType::bfloat16);
  EXPECT_EQ(loaded.notes.size(), 5U);
}

TEST(Load, TheCommandLineOverridesTheFile) {
  const Loaded loaded = load_text(reference_file, {{"model.mixed_precision", "False"},
                                                   {"optimizer.learning_rate", "0.5"},
                                                   {"runconfig.max_steps", "7", "--max_steps"},
                                                   {"optimizer.learning_rate", "0.25"}});
  EXPECT_EQ(loaded.config.optimizer.learning_rate[0].initial_learning_rate, 0.25);
  EXPECT_EQ(loaded.config.run.max_steps, 7);
}

TEST(Load, AFlagAndASettingThatDisagreeAreRefused) {
  const Override flag{"runconfig.max_steps", "7", "--max_steps"};
  const std::string message = usage_error_of([&] { load_overrides({flag, {"runconfig.max_steps", "8"}}); });
  EXPECT_TRUE(contains(message, "given twice on the command line: 7 (--max_steps) and 8 (command line)"))
      << message;
  EXPECT_EQ(load_overrides({flag, {"runconfig.max_steps", "7"}}).config.run.max_steps, 7);
}

TEST(Load, AWrongValueIsFoundEvenWhenOverridden) {
  const std::string message = usage_error_of([] {
    load_text("train_input:\n  batch_size: x\n", {{"train_input.batch_size", "4"}});
  });
  EXPECT_TRUE(contains(message, "f.yaml:2: train_input.batch_size")) << message;
}

TEST(Load, ADynamicLossScaleBeginsWithinItsLimits) {
  EXPECT_EQ(load_text("optimizer: {loss_scaling_factor: 256}\n").config.optimizer.loss_scale.factor, 256.0);
  load_text("optimizer: {loss_scaling_factor: dynamic, initial_loss_scale: 4, max_loss_scale: 4}\n");
  load_text("optimizer: {loss_scaling_factor: 1, initial_loss_scale: 8, max_loss_scale: 4}\n");
  const std::string message = usage_error_of([] {
    load_text("optimizer: {loss_scaling_factor: dynamic, initial_loss_scale: 8, max_loss_scale: 4}\n");
  });
  EXPECT_TRUE(contains(message, "min_loss_scale <= initial_loss_scale <= max_loss_scale")) << message;
}

TEST(Load, PicksTheNamedPartOfAFile) {
  Sources sources;
  sources.yaml = "small:\n  model: {hidden_sizes: [8]}\nlarge:\n  model: {hidden_sizes: [900]}\nn: 1\n";
  sources.yaml_name = "f.yaml";
  sources.config_name = "large";
  EXPECT_EQ(load(sources).config.model.hidden_sizes, std::vector<int>{900});

  sources.config_name = "huge";
  EXPECT_TRUE(contains(usage_error_of([&] { load(sources); }), "it has small, large"));
  sources.config_name = "n";
  EXPECT_TRUE(
      contains(usage_error_of([&] { load(sources); }), "f.yaml:5: --config n: expected sections, found '1'"));
  sources.config_name = "";
  EXPECT_TRUE(contains(usage_error_of([&] { load(sources); }), "--config small runs that part"));
  sources.config_name = "small";
  sources.yaml.reset();
  EXPECT_TRUE(contains(usage_error_of([&] { load(sources); }), "--config small without a file"));
}

TEST(Load, LeavesAloneWhatHoldsAnchors) {
  const Loaded loaded = load_text(
      "description: \"text\"\nx-base: &base {seed: 5, frob: 1}\n.more: &more {log_steps: 7}\n"
      "runconfig:\n  <<: *more\n  max_steps: 3\n");
  EXPECT_EQ(loaded.config.run.log_steps, 7);
  EXPECT_EQ(loaded.config.run.max_steps, 3);
  EXPECT_TRUE(loaded.notes.empty());
}

TEST(Load, SaysWhatATimeWasTakenFor) {
  const auto note = [](const char* time) {
    return load_overrides({{"runconfig.max_time", time}}).notes.at(0);
  };
  EXPECT_EQ(note("90"),
            "runconfig.max_time 90: the run stops 1:30:00 (hours:minutes:seconds) after its start");
  EXPECT_TRUE(contains(note("1-12"), "36:00:00")) << note("1-12");
  EXPECT_TRUE(load_overrides({{"runconfig.max_time", "auto"}}).notes.empty());
  EXPECT_TRUE(load_overrides({{"runconfig.max_time", "UNLIMITED"}}).notes.empty());
}

TEST(Load, AFileMayNameTheLevelOfTheLog) {
  EXPECT_EQ(load_text("runconfig: {logging: INFO}\n").logging, "info");
  EXPECT_EQ(load_text("runconfig: {logging: 10}\n").logging, "debug");
  EXPECT_EQ(load_text("runconfig: {seed: 1}\n").logging, std::nullopt);
}

TEST(Load, PathsAreExpandedAndWrittenAsTheyAre) {
  Sources sources;
  sources.environment = Environment{{"HOME", "/home/me"}, {"SCRATCH", "/big $tore"}};
  sources.yaml =
      "train_input: {data_dir: ~/mnist, mirrors: [\"file://~/m\", $SCRATCH/n, \"http://h/~a\", "
      "\"file://${HOME}/o\"]}\n"
      "eval_input: {data_dir: \"$SCRATCH/e\"}\nrunconfig: {plan: ~/plan.yaml}\n";
  sources.overrides = {{"runconfig.model_dir", "~", "--model_dir"}};
  const RunConfig config = load(sources).config;
  EXPECT_EQ(config.train_input.data_dir, "/home/me/mnist");
  EXPECT_EQ(config.train_input.mirrors, (std::vector<std::string>{"file:///home/me/m", "file:///big $tore/n",
                                                                  "http://h/~a", "file:///home/me/o"}));
  EXPECT_EQ(config.eval_input.data_dir, "/big $tore/e");
  EXPECT_EQ(config.run.plan, "/home/me/plan.yaml");
  EXPECT_EQ(config.run.model_dir, "/home/me");
  EXPECT_EQ(load_text(to_yaml(config)).config, config)
      << "as this program reads its own file: " << to_yaml(config);
  sources.yaml = to_yaml(config);
  sources.overrides.clear();
  EXPECT_EQ(load(sources).config, config) << "and as a person's file";
}

TEST(Load, APathThatCannotBeExpandedIsNamedWithItsPlace) {
  Sources sources;
  sources.environment = Environment{{"HOME", "/home/me"}};
  sources.yaml_name = "f.yaml";
  for (const char* key : {"train_input.data_dir", "eval_input.data_dir", "train_input.mirrors",
                          "eval_input.mirrors", "runconfig.model_dir", "runconfig.plan"}) {
    const std::string name = key;
    const std::size_t dot = name.find('.');
    sources.yaml = name.substr(0, dot) + ":\n  " + name.substr(dot + 1) + ": $SCRATCH/x\n";
    const std::string message = usage_error_of([&] { load(sources); });
    EXPECT_TRUE(contains(message, "f.yaml:2: " + name + ": $SCRATCH/x: the variable SCRATCH is not set"))
        << message;
    EXPECT_TRUE(contains(message, "HINT: export SCRATCH=...")) << message;
  }
}

TEST(Load, MultireplicaIsOneNote) {
  Sources sources;
  sources.multireplica = true;
  EXPECT_EQ(load(sources).notes.size(), 1U);
}

TEST(ToYaml, RoundTripsEverySettingExactly) {
  RunConfig config;
  config.train_input.data_dir = "/a \"b\"\\c/#\xC3\xA4: x";
  config.train_input.batch_size = 0;
  config.train_input.batch_size_per_replica = 3;
  config.eval_input.mirrors = {"https://localhost/a,b", "http://[::1]:8/x"};
  config.model.hidden_sizes = {};
  config.model.dropout = 0.1 + 0.2;
  config.optimizer.learning_rate = {{optim::ScheduleKind::linear, 1.0 / 3.0, 0.1, 1.0, 10},
                                    {optim::ScheduleKind::polynomial, 0.1, 1e-9, 2.5, 0}};
  config.optimizer.weight_decay_rate = 4.9e-324;
  config.optimizer.max_gradient_norm = 1.7976931348623157e308;
  config.run.max_steps = 5;
  config.run.seed = 9007199254740993U;
  config.comm.stall_timeout_s = 1e6;
  EXPECT_EQ(load_text(to_yaml(config)).config, config) << to_yaml(config);
  EXPECT_TRUE(to_yaml(config).starts_with("# "));
}

TEST(ToYaml, OfALoadedFileIsAFixedPoint) {
  const RunConfig config = load_text(reference_file).config;
  const Loaded again = load_text(to_yaml(config));
  EXPECT_EQ(again.config, config);
  EXPECT_EQ(to_yaml(again.config), to_yaml(config));
  EXPECT_TRUE(again.notes.empty());
}

TEST(Load, AFileMayDenyThatItIsToBeValidatedOnly) {
  const Loaded loaded = load_text("runconfig:\n  validate_only: False\n");
  EXPECT_TRUE(loaded.config == RunConfig());
  EXPECT_TRUE(loaded.notes.empty());
}

}  // namespace
}  // namespace fcmnist::config
