#include "setup/settle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.hpp"
#include "core/error.hpp"
#include "setup/plan_in_effect.hpp"
#include "store/model_dir.hpp"
#include "support/mpi_test.hpp"
#include "support/small_run.hpp"

namespace fcmnist::setup {
namespace {

using test::CommonDirectory;
using test::SmallRun;
using test::world;

/// The error that every rank finds alike in `action`, which is collective.
template <class Action>
Error agreed_error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_TRUE(error.agreed()) << error.what();
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ExitCode::done, "");
}

/// A checkpoint of the first step of a run, in its model_dir. Collective.
void write_checkpoint(const Settled& run) {
  comm::collectively(world(), [&] {
    if (world().rank() != 0) return;
    const Arena<float> weights(run.mlp.network_layout());
    store::CheckpointHeader header;
    header.state.step = 1;
    header.config_yaml = run.config_yaml;
    header.manifest = run.manifest;
    store::write_checkpoint(store::ModelDir(run.config.run.model_dir).checkpoint_file(1), header,
                            weights.view(), {});
  });
}

TEST(Settle, ANewRunIsKnownBeforeItsFirstStep) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run", {"--num_epochs", "1", "train_input.batch_size=2400"});
  const Settled settled = settle(run.context(), Intent::train);
  EXPECT_FALSE(settled.start.checkpoint);
  EXPECT_EQ(settled.lock != nullptr, world().rank() == 0);
  EXPECT_EQ(settled.shapes.train.samples, 12'000U);
  ASSERT_TRUE(settled.shapes.eval);
  EXPECT_EQ(settled.shapes.eval->samples, 2'000U);
  EXPECT_EQ(settled.epoch_plan.steps_per_epoch(), 5U);
  EXPECT_EQ(settled.total_steps, 5) << "one epoch is shorter than max_steps";
  EXPECT_FALSE(settled.plan);
  EXPECT_EQ(settled.stages.size(), 1U);
  EXPECT_EQ(settled.mlp.layer_count(), 3U);
  EXPECT_EQ(settled.arithmetic.precision, model::Precision::float32);
  EXPECT_NE(settled.manifest.find("precision"), nullptr);
  EXPECT_EQ(settled.config.optimizer.loss_scale.factor, 1.0);
  config::Sources sources;
  sources.yaml = settled.config_yaml;
  EXPECT_EQ(config::load(sources).config.optimizer, settled.config.optimizer)
      << "as the next resume reads it";
}

TEST(Settle, EveryRankHasTheLayersOfItsStage) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run", {"runconfig.execution=layer_pipelined"});
  const Settled settled = settle(run.context(), Intent::train);
  const comm::Grid& grid = run.context().grid();
  ASSERT_EQ(settled.stages.size(), static_cast<std::size_t>(grid.stages()));
  const model::LayerRange mine = settled.stages[static_cast<std::size_t>(grid.stage())];
  EXPECT_EQ(settled.mlp.layer_count(), mine.end - mine.begin);
}

TEST(Settle, ValidationWritesNothingAndLocksNothing) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run");
  const Settled settled = settle(run.context(), Intent::validate);
  EXPECT_EQ(settled.lock, nullptr);
  EXPECT_FALSE(settled.config.train_input.download);
  EXPECT_FALSE(settled.config.eval_input.download);
  world().barrier();
  EXPECT_FALSE(std::filesystem::exists(directory / "run"));
  EXPECT_TRUE(run.context().config().train_input.download) << "a context does not change";
}

TEST(Settle, ValidationSettlesTheSameRunAsTraining) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run", {"model.mixed_precision=True", "model.half_type=float16"});
  const Settled validated = settle(run.context(), Intent::validate);
  const Settled trained = settle(run.context(), Intent::train);
  EXPECT_EQ(validated.config.model, trained.config.model);
  EXPECT_EQ(validated.config.optimizer, trained.config.optimizer);
  EXPECT_EQ(validated.manifest, trained.manifest);
  EXPECT_EQ(validated.total_steps, trained.total_steps);
}

TEST(Settle, ARunThatIsUnderWayIsNotJoined) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run");
  const Settled first = settle(run.context(), Intent::train);
  for (const Intent intent : {Intent::train, Intent::compile}) {
    EXPECT_EQ(agreed_error_of([&] { settle(run.context(), intent); }).code(), ExitCode::in_use);
  }
  EXPECT_NO_THROW(settle(run.context(), Intent::validate));
}

TEST(Settle, ARunThatGoesOnKeepsPrecisionAndLossScalingOfItsCheckpoint) {
  const CommonDirectory directory(world());
  const std::string settings = directory / "settings.yaml";  // the built-in ones ask for float32
  comm::collectively(world(), [&] {
    if (world().rank() == 0) store::put(settings, "runconfig:\n  seed: 1\n");
  });
  {
    const SmallRun run(world(), directory / "run",
                       {"-p", settings, "model.mixed_precision=True", "model.half_type=float16",
                        "optimizer.loss_scaling_factor=64"});
    write_checkpoint(settle(run.context(), Intent::train));
  }
  const SmallRun resumed(world(), directory / "run", {"-p", settings});
  const Settled settled = settle(resumed.context(), Intent::train);
  EXPECT_EQ(settled.start.run_that_goes_on() != nullptr, world().rank() == 0);
  EXPECT_EQ(settled.arithmetic.precision, model::Precision::float16);
  EXPECT_EQ(settled.config.model.precision, model::Precision::float16);
  EXPECT_EQ(settled.config.optimizer.loss_scale.factor, 64.0);
  const SmallRun asks_anew(world(), directory / "run", {"-p", settings, "model.mixed_precision=False"});
  EXPECT_EQ(settle(asks_anew.context(), Intent::validate).arithmetic.precision, model::Precision::float32);
}

TEST(Settle, ARunThatGoesOnMultipliesItsFirstLayerAsBeforeUnlessTold) {
  using model::InputProducts;
  const CommonDirectory directory(world());
  const auto products = [&](const std::vector<std::string>& words, Intent intent) {
    std::vector<std::string> all = {"model.hidden_sizes=[64,8]"};
    all.insert(all.end(), words.begin(), words.end());
    const SmallRun run(world(), directory / "run", all);
    const Settled settled = settle(run.context(), intent);
    if (intent == Intent::train) write_checkpoint(settled);
    return settled.config.model.input_products;
  };
  EXPECT_EQ(products({}, Intent::validate), InputProducts::dense) << "made-up data have few zeros";
  EXPECT_EQ(products({"runconfig.input_products=sparse"}, Intent::train), InputProducts::sparse);
  EXPECT_EQ(products({}, Intent::validate), InputProducts::sparse);
  EXPECT_EQ(products({"runconfig.input_products=dense"}, Intent::validate), InputProducts::dense);
}

TEST(Settle, SparseProductsThatAModelCannotHaveAreRefused) {
  const CommonDirectory directory(world());
  const std::vector<std::vector<std::string>> cannot = {
      {"model.hidden_sizes=[63,20]"},
      {"model.hidden_sizes=[]"},
      {"model.hidden_sizes=[80]", "model.mixed_precision=True", "model.half_type=float16"}};
  for (std::vector<std::string> words : cannot) {
    const SmallRun automatic(world(), directory / "run", words);
    EXPECT_NO_THROW(settle(automatic.context(), Intent::validate));
    words.emplace_back("runconfig.input_products=sparse");
    const SmallRun run(world(), directory / "run", words);
    EXPECT_EQ(agreed_error_of([&] { settle(run.context(), Intent::validate); }).code(), ExitCode::usage);
  }
}

TEST(Settle, TrainingFollowsThePlanOfTheModelDirAndCompilingDoesNot) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run", {"runconfig.plan=auto"});
  config::Plan plan;
  {
    const Settled compiled = settle(run.context(), Intent::compile);
    plan.target =
        plan_target(run.context(), compiled.config, compiled.arithmetic.half_compute, compiled.shapes.train);
    plan.gemm.assign(compiled.mlp.layer_count(), {});
    comm::collectively(world(), [&] {
      if (world().rank() == 0) store::put(directory / "run/plan.yaml", config::write_plan(plan));
    });
  }
  const Settled trained = settle(run.context(), Intent::train);
  EXPECT_EQ(trained.plan, plan);
  ASSERT_NE(trained.manifest.find("plan"), nullptr);
  EXPECT_EQ(std::get<std::string>(*trained.manifest.find("plan")), config::write_plan(plan));
}

TEST(Settle, APlanThatCannotBeReadLeavesNoModelDirBehind) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run", {"runconfig.plan=" + (directory / "absent.yaml")});
  EXPECT_EQ(agreed_error_of([&] { settle(run.context(), Intent::train); }).code(), ExitCode::usage);
  EXPECT_FALSE(std::filesystem::exists(directory / "run"));
  world().barrier();
  EXPECT_NO_THROW(settle(run.context(), Intent::compile));
}

TEST(Settle, ErrorsAreAgreedOn) {
  const CommonDirectory directory(world());
  const SmallRun no_step(world(), directory / "no_step",
                         {"train_input.batch_size=20000", "train_input.drop_last_batch=True"});
  EXPECT_EQ(agreed_error_of([&] { settle(no_step.context(), Intent::train); }).code(), ExitCode::usage);
  const SmallRun no_data(
      world(), directory / "no_data",
      {"train_input.use_fake_data=False", "train_input.data_dir=" + (directory / "absent")});
  EXPECT_EQ(agreed_error_of([&] { settle(no_data.context(), Intent::validate); }).code(), ExitCode::data);
}

TEST(Settle, GroupsOfRanksSettleRunsOfTheirOwn) {
  const int color = world().rank() % 2;
  const comm::Communicator group = world().split(color);
  const CommonDirectory directory(group);
  const SmallRun run(group, directory / "run", {"runconfig.seed=" + std::to_string(40 + color)});
  const Settled settled = settle(run.context(), Intent::train);
  EXPECT_EQ(run.context().ranks(), group.size());
  EXPECT_EQ(settled.lock != nullptr, group.rank() == 0);
  EXPECT_EQ(settled.config.run.seed, static_cast<std::uint64_t>(40 + color));
  EXPECT_EQ(std::get<std::int64_t>(*settled.manifest.find("world_size")), group.size());
}

}  // namespace
}  // namespace fcmnist::setup
