#include "setup/start_point.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.hpp"
#include "core/error.hpp"
#include "store/support.hpp"
#include "support/log_text.hpp"

namespace fcmnist::setup {
namespace {

using store::message_of;
using testing::HasSubstr;

store::Manifest manifest_of(const std::string& version, const std::string& blas_core,
                            std::int64_t replicas = 2) {
  store::Manifest manifest;
  manifest.add("version", version);
  manifest.add("blas_core", blas_core);
  manifest.add("replicas", replicas);
  return manifest;
}

/// A model_dir, and a command line and configuration that ask for a run in it.
class StartPointTest : public testing::Test {
 protected:
  StartPointTest() { config_.run.model_dir = (directory_ / "run").string(); }

  /// Writes a checkpoint of a run with this configuration.
  void write(const std::filesystem::path& path, std::int64_t step, const config::RunConfig& config) {
    std::filesystem::create_directories(path.parent_path());
    const Layout layout = store::mlp_layout({4, 3, 2});
    const Arena<float> weights(layout);
    store::CheckpointHeader header;
    header.state.step = step;
    header.config_yaml = config::to_yaml(config);
    header.manifest = manifest_of("0.2.0", "Haswell");
    store::write_checkpoint(path, header, weights.view(), {});
  }
  void write_own(std::int64_t step) { write(model_dir().checkpoint_file(step), step, config_); }
  void damage_own(std::int64_t step) {
    std::filesystem::create_directories(config_.run.model_dir);
    store::put(model_dir().checkpoint_file(step), "not a checkpoint");
  }

  [[nodiscard]] store::ModelDir model_dir() const { return store::ModelDir(config_.run.model_dir); }
  StartPoint find() { return find_start_point(arguments_, config_, now_, log_.log()); }
  static std::int64_t step_of(const StartPoint& start) {
    return start.checkpoint ? start.checkpoint->header().state.step : -1;
  }

  TemporaryDirectory directory_;
  config::CommandLine arguments_;
  config::RunConfig config_ = config::built_in_experiment();
  store::Manifest now_ = manifest_of("0.2.0", "Haswell");
  test::LogText log_;
};

TEST_F(StartPointTest, AModelDirThatIsNotThereBeginsWithInitialWeights) {
  const StartPoint start = find();
  EXPECT_FALSE(start.checkpoint);
  EXPECT_EQ(start.run_that_goes_on(), nullptr);
  EXPECT_FALSE(std::filesystem::exists(config_.run.model_dir)) << "nothing is written";
}

TEST_F(StartPointTest, TheNewestCheckpointGoesOn) {
  for (const std::int64_t step : {5, 20, 10}) write_own(step);
  const StartPoint start = find();
  EXPECT_EQ(step_of(start), 20);
  EXPECT_EQ(start.run_that_goes_on(), &*start.checkpoint);
  EXPECT_EQ(log_.text(), "");
}

TEST_F(StartPointTest, ADamagedCheckpointIsNamedAndPassedOver) {
  write_own(5);
  damage_own(10);
  EXPECT_EQ(step_of(find()), 5);
  EXPECT_THAT(log_.text(), HasSubstr("warning: " + model_dir().checkpoint_file(10).string()));
}

TEST_F(StartPointTest, ACheckpointUnderTheNameOfAnotherStepIsDamaged) {
  write_own(5);
  write(model_dir().checkpoint_file(10), 9, config_);
  EXPECT_EQ(step_of(find()), 5);
  EXPECT_THAT(log_.text(), HasSubstr("found a checkpoint of step 9, expected one of step 10"));
}

TEST_F(StartPointTest, WhenAllAreDamagedTheRunIsNotSilentlyANewOne) {
  damage_own(5);
  damage_own(10);
  EXPECT_THAT(message_of<StoreError>([&] { find(); }), HasSubstr("none of its 2 checkpoints is intact"));
}

TEST_F(StartPointTest, RestartIgnoresTheCheckpointsOfTheModelDir) {
  damage_own(5);
  arguments_.restart = true;
  EXPECT_FALSE(find().checkpoint);
}

TEST_F(StartPointTest, AGivenCheckpointGoesOnAsAWhole) {
  arguments_.checkpoint_path = (directory_ / "elsewhere.h5").string();
  write(arguments_.checkpoint_path, 7, config_);
  const StartPoint start = find();
  EXPECT_EQ(step_of(start), 7);
  EXPECT_FALSE(start.weights_only);
  EXPECT_NE(start.run_that_goes_on(), nullptr);
}

TEST_F(StartPointTest, APretrainedCheckpointGivesItsWeightsOnlyAndMayHaveOtherSettings) {
  arguments_.checkpoint_path = (directory_ / "elsewhere.h5").string();
  arguments_.is_pretrained_checkpoint = true;
  config::RunConfig other = config_;
  other.optimizer.momentum = 0.25;
  write(arguments_.checkpoint_path, 7, other);
  const StartPoint start = find();
  EXPECT_EQ(step_of(start), 7);
  EXPECT_TRUE(start.weights_only);
  EXPECT_EQ(start.run_that_goes_on(), nullptr);
}

TEST_F(StartPointTest, TheRunOfTheModelDirComesBeforeTheGivenCheckpoint) {
  arguments_.checkpoint_path = (directory_ / "elsewhere.h5").string();
  write(arguments_.checkpoint_path, 7, config_);
  write_own(5);
  EXPECT_EQ(step_of(find()), 5);
  EXPECT_THAT(log_.text(), HasSubstr("goes on; --checkpoint_path was where it began"));
}

TEST_F(StartPointTest, AnOlderCheckpointOfTheSameRunIsRefused) {
  write_own(5);
  write_own(10);
  arguments_.checkpoint_path = model_dir().checkpoint_file(5).string();
  EXPECT_THAT(message_of<UsageError>([&] { find(); }), HasSubstr("step 5, but"));
  arguments_.checkpoint_path = model_dir().checkpoint_file(10).string();
  EXPECT_EQ(step_of(find()), 10);
}

TEST_F(StartPointTest, OtherSettingsAreAnotherRun) {
  write_own(5);
  config_.optimizer.momentum = 0.25;
  EXPECT_THAT(message_of<UsageError>([&] { find(); }), HasSubstr("momentum"));
}

TEST_F(StartPointTest, ArithmeticAndPlanMayChange) {
  write_own(5);
  config_.model.mixed_precision = true;
  config_.run.plan = "auto";
  config_.optimizer.loss_scale.factor.reset();
  EXPECT_EQ(step_of(find()), 5);
}

TEST_F(StartPointTest, TheSameGlobalBatchMayBeGivenInAnotherWay) {
  config::RunConfig per_replica = config_;
  per_replica.train_input.batch_size = 0;
  per_replica.train_input.batch_size_per_replica = 64;  // on the two replicas of the manifest
  write(model_dir().checkpoint_file(5), 5, per_replica);
  config_.train_input.batch_size = 128;
  EXPECT_EQ(step_of(find()), 5);
  config_.train_input.batch_size = 64;
  EXPECT_THROW(find(), UsageError);
}

TEST_F(StartPointTest, SaysWhatElseHasChangedSinceTheCheckpoint) {
  write_own(5);
  now_ = manifest_of("0.3.0", "Zen", 4);
  find();
  EXPECT_THAT(log_.text(), HasSubstr("info: since the checkpoint: version from 0.2.0 to 0.3.0"));
  EXPECT_THAT(log_.text(),
              HasSubstr("warning: since the checkpoint: blas_core from Haswell to Zen: results go on "
                        "equal to rounding, not to the bit"));
}

}  // namespace
}  // namespace fcmnist::setup
