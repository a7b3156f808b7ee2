#include "config/trainer_layout.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

/// The model's file in the layout of releases 2.2 and later.
constexpr const char* trainer_file = R"(trainer:
  init:
    model_dir: ./model_dir
    seed: 1
    model:
      name: fc_mnist
      depth: 10
      hidden_size: 50
      dropout: 0.0
      activation_fn: relu
      to_float16: false
    optimizer:
      SGD:
        learning_rate: 0.001
        momentum: 0.0
    precision:
      enabled: true
      loss_scaling_factor: 1.0
    loop:
      max_steps: 1000
      eval_frequency: 10000000
    checkpoint:
      steps: 10000000
    logging:
      log_steps: 50
    schedulers:
    - ConstantLR:
        learning_rate: 0.001
  fit:
    train_dataloader:
      data_processor: MNISTDataProcessor
      data_dir: ./mnist
      batch_size: 4
      drop_last_batch: true
      to_float16: true
      shuffle: true
      split: train
    val_dataloader: &val
      data_processor: MNISTDataProcessor
      data_dir: ./mnist
      batch_size: 4
      drop_last_batch: true
      shuffle: false
      split: val
  validate:
    val_dataloader: *val
  validate_all:
    val_dataloaders: *val
)";

/// The same in the sections of the releases before.
constexpr const char* sections_file = R"(
train_input: {data_dir: ./mnist, batch_size: 4, drop_last_batch: True, shuffle: True, split: train}
eval_input: {data_dir: ./mnist, batch_size: 4, split: val}
model: {mixed_precision: True, depth: 10, hidden_size: 50, dropout: 0.0}
optimizer: {optimizer_type: SGD, learning_rate: {scheduler: ConstantLR, learning_rate: 0.001}, momentum: 0.0,
            loss_scaling_factor: 1.0}
runconfig: {max_steps: 1000, eval_frequency: 10000000, checkpoint_steps: 10000000, log_steps: 50, seed: 1}
)";

RunConfig config_of(const std::string& init, const std::string& fit = "{}") {
  return load_text("trainer: {init: {" + init + "}, fit: " + fit + "}\n").config;
}

std::string error_of_init(const std::string& init) {
  return usage_error_of([&] { config_of(init); });
}

TEST(TrainerLayout, AFileMeansWhatItMeansInSections) {
  EXPECT_EQ(load_text(trainer_file).config, load_text(sections_file).config);
}

TEST(TrainerLayout, RunsWithConfigToo) {
  Sources sources;
  sources.yaml = trainer_file;
  sources.config_name = "trainer";
  EXPECT_EQ(load(sources).config, load_text(sections_file).config);
  sources.yaml = std::string("one:\n") + "  trainer: {init: {seed: 5}}\n";
  sources.config_name = "one";
  EXPECT_EQ(load(sources).config.run.seed, 5U);
}

TEST(TrainerLayout, TheCommandLineOverridesIt) {
  EXPECT_EQ(load_text(trainer_file, {{"runconfig.max_steps", "7"}}).config.run.max_steps, 7);
  EXPECT_EQ(load_text(trainer_file, {{"optimizer.learning_rate", "0.5"}}).config.optimizer.learning_rate[0],
            optim::SchedulePiece{.initial_learning_rate = 0.5});
}

TEST(TrainerLayout, APrecisionIsMixedUnlessItSaysNo) {
  EXPECT_EQ(config_of("precision: {fp16_type: float16}").model.mixed_precision, true);
  EXPECT_EQ(config_of("precision: {fp16_type: float16}").model.half_type, kernels::HalfType::float16);
  EXPECT_EQ(config_of("precision: {enabled: False}").model.mixed_precision, false);
  EXPECT_EQ(config_of("precision: null").model.mixed_precision, RunConfig().model.mixed_precision);
  EXPECT_EQ(config_of("precision: {max_gradient_norm: 2.0}").optimizer.max_gradient_norm, 2.0);
}

TEST(TrainerLayout, ReadsSchedulersInSequence) {
  const auto pieces =
      config_of(
          "schedulers: [{SequentialLR: {schedulers: [{LinearLR: {initial_learning_rate: 0.0, "
          "end_learning_rate: 0.5, total_iters: 10}}, {CosineDecayLR: {initial_learning_rate: 0.5, "
          "end_learning_rate: 0.0, total_iters: 90}}], milestones: null}}], optimizer: {SGD: {lr: 9}}")
          .optimizer.learning_rate;
  EXPECT_EQ(pieces, (std::vector<optim::SchedulePiece>{{optim::ScheduleKind::linear, 0.0, 0.5, 1.0, 10},
                                                       {optim::ScheduleKind::cosine, 0.5, 0.0, 1.0, 90}}));
  EXPECT_EQ(config_of("schedulers: [], optimizer: {SGD: {lr: 0.25}}")
                .optimizer.learning_rate[0]
                .initial_learning_rate,
            0.25);
}

TEST(TrainerLayout, CallbacksAndLoopsGoToTheirKeys) {
  const RunConfig config = config_of(
      "loop: {num_steps: 5, eval_frequency: 1.0, eval_steps: 3, grad_accum_steps: 2}, "
      "optimizer: {SGD: {weight_decay: 0.5, nesterov: True, momentum: 0.5}}, "
      "callbacks: [{KeepNCheckpoints: {n: 4}}, {CheckLoss: {}}, {RateProfiler: null}, "
      "{ScopedTrainFlags: {csx.performance.micro_batch_size: 2}}, "
      "{GlobalFlags: {csx.debug.ini: {a: 1}}}], loggers: [{TensorBoardLogger: {}}]",
      "{train_dataloader: {batch_size: 8}, val_dataloader: [{batch_size: 9}], ckpt_path: null}");
  EXPECT_EQ(config.run.max_steps, 5);
  EXPECT_EQ(config.run.eval_frequency, 0) << "1.0 is once, at the end";
  EXPECT_EQ(config.run.eval_steps, 3);
  EXPECT_EQ(config.optimizer.grad_accum_steps, 2);
  EXPECT_EQ(config.optimizer.weight_decay_rate, 0.5);
  EXPECT_TRUE(config.optimizer.use_nesterov);
  EXPECT_EQ(config.checkpoint.keep_checkpoints, 4);
  EXPECT_EQ(config.run.microbatch, 2);
  EXPECT_EQ(config.train_input.batch_size, 8);
  EXPECT_EQ(config.eval_input.batch_size, 9);
}

TEST(TrainerLayout, OptimizersHaveTheParametersOfTheirRules) {
  const optim::OptimizerOptions adamw =
      config_of(
          "optimizer: {AdamW: {lr: 0.002, betas: [0.8, 0.99], eps: 1.0e-6, weight_decay: 0.1, "
          "correct_bias: False}}")
          .optimizer;
  EXPECT_EQ(adamw.type, optim::OptimizerType::adamw);
  EXPECT_EQ(adamw.beta1, 0.8);
  EXPECT_EQ(adamw.beta2, 0.99);
  EXPECT_EQ(adamw.eps, 1e-6);
  EXPECT_EQ(adamw.weight_decay_rate, 0.1);
  EXPECT_FALSE(adamw.correct_bias);
  const optim::OptimizerOptions rprop =
      config_of("optimizer: {Rprop: {etas: [0.4, 1.3], step_sizes: [1.0e-5, 10]}}").optimizer;
  EXPECT_EQ(rprop.eta1, 0.4);
  EXPECT_EQ(rprop.eta2, 1.3);
  EXPECT_EQ(rprop.step_size_min, 1e-5);
  EXPECT_EQ(rprop.step_size_max, 10.0);
}

TEST(TrainerLayout, SaysWhatChangesNothing) {
  const std::vector<std::string> notes =
      load_text("trainer: {init: {callbacks: [{RateProfiler: {}}], backend: {backend_type: CPU}}}\n").notes;
  ASSERT_EQ(notes.size(), 2U);
  EXPECT_TRUE(contains(notes[0], "trainer.init.callbacks.RateProfiler: ")) << notes[0];
  EXPECT_TRUE(contains(notes[1], "runconfig.target_device: ")) << notes[1];
}

TEST(TrainerLayout, RefusesWhatHasNoCounterpartWithItsPlace) {
  EXPECT_TRUE(
      contains(error_of_init("lop: {max_steps: 3}"), "f.yaml:1: trainer.init.lop has no counterpart here"));
  EXPECT_TRUE(contains(error_of_init("loop: {max_step: 3}"), "did you mean runconfig.max_steps?"));
  EXPECT_TRUE(contains(error_of_init("loop: {eval_frequency: 0.5}"),
                       "runconfig.eval_frequency: expected a whole number"));
  EXPECT_TRUE(
      contains(error_of_init("optimizer: {Adafactor: {lr: 0.1}}"), "Adafactor comes in a later release"));
  EXPECT_TRUE(contains(error_of_init("optimizer: {SGD: {}, Adam: {}}"), "expected one optimizer, found 2"));
  EXPECT_TRUE(contains(error_of_init("optimizer: SGD"), "trainer.init.optimizer"));
  EXPECT_TRUE(
      contains(error_of_init("sparsity: {sparsity: 0.5}"), "trainer.init.sparsity has no counterpart"));
  EXPECT_TRUE(contains(error_of_init("callbacks: [{Lora: {lora_params: {r: 2}}}]"), "model.lora_params"));
  EXPECT_TRUE(
      contains(error_of_init("callbacks: [{Frob: {}}]"), "trainer.init.callbacks.Frob has no counterpart"));
  EXPECT_TRUE(contains(error_of_init("schedulers: [{LinearLR: {val: 1}}, {StepLR: {}}]"),
                       "2 schedulers of one optimizer"));
  EXPECT_TRUE(contains(
      error_of_init("schedulers: [{SequentialLR: {schedulers: [{LinearLR: {val: 1}}], milestones: [3]}}]"),
      "SequentialLR.milestones has no counterpart"));
  EXPECT_TRUE(contains(error_of_init("schedulers: [LinearLR]"), "expected a scheduler with its settings"));
}

TEST(TrainerLayout, RefusesWhatIsNoTrainer) {
  const auto error = [](const char* yaml) { return usage_error_of([&] { load_text(yaml); }); };
  EXPECT_TRUE(contains(error("trainer: 3\n"), "f.yaml:1: trainer: expected init with its keys"));
  EXPECT_TRUE(contains(error("trainer: {fit: {}}\n"), "HINT: trainer: {init: "));
  EXPECT_TRUE(contains(error("trainer: [{trainer: {init: {}}}, {trainer: {init: {}}}]\n"), "a list of 2"));
  EXPECT_EQ(load_text("trainer: [{trainer: {init: {seed: 3}}}]\n").config.run.seed, 3U);
  EXPECT_TRUE(contains(error("trainer: {init: {seed: 3}}\nrunconfig: {seed: 4}\n"), "runconfig.seed 3"));
  EXPECT_TRUE(
      contains(error("trainer: {init: {}, fit: {val_dataloader: [{batch_size: 1}, {batch_size: 2}]}}\n"),
               "trainer.fit.val_dataloader: a list of 2"));
}

TEST(TrainerLayout, AnOverrideInThatLayoutIsToldItsKey) {
  EXPECT_EQ(key_of_trainer_place("trainer.init.loop.max_steps"), "runconfig.max_steps");
  EXPECT_EQ(key_of_trainer_place("trainer.init.optimizer.SGD.lr"), "optimizer.learning_rate");
  EXPECT_EQ(key_of_trainer_place("trainer.init.precision.fp16_type"), "model.half_type");
  EXPECT_EQ(key_of_trainer_place("trainer.init.nothing"), "");
  EXPECT_EQ(key_of_trainer_place(""), "");
  const std::string message = usage_error_of([] { load_overrides({{"trainer.init.loop.max_steps", "3"}}); });
  EXPECT_TRUE(contains(message, "did you mean runconfig.max_steps?")) << message;
}

}  // namespace
}  // namespace fcmnist::config
