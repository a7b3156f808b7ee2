#include "run/learner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/mpi_test.hpp"
#include "support/small_run.hpp"
#include "train/replica_check.hpp"

namespace fcmnist::run {
namespace {

using test::CommonDirectory;
using test::SmallRun;
using test::world;

const std::vector<std::string> half_precision = {"model.mixed_precision=True", "model.half_type=float16",
                                                 "optimizer.loss_scaling_factor=dynamic"};

void train(Learner& learner, std::int64_t steps) {
  for (std::int64_t i = 0; i < steps; ++i) learner.step({});
}

std::string bits_of(const Learner& learner) { return train::bits_sha256(learner.state().weights()); }

/// Writes a checkpoint of a learner as a run does. Collective over the world.
void write_checkpoint(const Learner& learner, const setup::Settled& run, const std::string& path) {
  const auto network = learner.state().gather();
  comm::collectively(world(), [&] {
    if (!network) return;
    store::CheckpointHeader header;
    header.state = learner.position();
    header.config_yaml = run.config_yaml;
    header.manifest = run.manifest;
    store::write_checkpoint(path, header, network->weights, network->optimizer);
  });
}

TEST(Learner, ANewRunBeginsWithTheInitialWeightsOfItsSeed) {
  const CommonDirectory directory(world());
  const auto bits_of_seed = [&](const std::string& seed) {
    const SmallRun run(world(), directory / ("run" + seed), {"runconfig.seed=" + seed});
    const setup::Settled settled = setup::settle(run.context(), setup::Intent::train);
    Learner learner(run.context(), settled);
    EXPECT_EQ(learner.take_start_point(), Learner::Origin::nothing);
    EXPECT_EQ(learner.steps_done(), 0);
    EXPECT_NO_THROW(learner.check_replicas());
    return bits_of(learner);
  };
  EXPECT_NE(bits_of_seed("1"), bits_of_seed("2"));
}

TEST(Learner, SaysWhatItLearns) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run");
  const setup::Settled settled = setup::settle(run.context(), setup::Intent::train);
  const Learner learner(run.context(), settled);
  EXPECT_EQ(learner.description(),
            "12000 samples of 28 x 28, 94 steps of 128 samples per epoch, 6 steps in all");
}

TEST(Learner, IsScoredOnlyInTheModeThatEvaluates) {
  const CommonDirectory directory(world());
  const SmallRun both(world(), directory / "both");
  const setup::Settled settled = setup::settle(both.context(), setup::Intent::train);
  Learner learner(both.context(), settled);
  learner.take_start_point();
  ASSERT_TRUE(learner.evaluates());
  EXPECT_EQ(learner.evaluate(false).samples, 2'000U);
  const SmallRun train_only(world(), directory / "train", {"--mode", "train"});
  const setup::Settled without = setup::settle(train_only.context(), setup::Intent::train);
  EXPECT_FALSE(Learner(train_only.context(), without).evaluates());
}

TEST(Learner, GoesOnFromACheckpointAsIfNeverInterrupted) {
  for (const std::vector<std::string>& words : {std::vector<std::string>(), half_precision}) {
    const CommonDirectory directory(world());
    const SmallRun run(world(), directory / "run", words);
    const setup::Settled settled = setup::settle(run.context(), setup::Intent::train);
    Learner learner(run.context(), settled);
    learner.take_start_point();
    train(learner, 3);
    write_checkpoint(learner, settled, directory / "checkpoint.h5");
    train(learner, 3);

    const SmallRun later(world(), directory / "later", {"--checkpoint_path", directory / "checkpoint.h5"});
    const setup::Settled resumed = setup::settle(later.context(), setup::Intent::train);
    Learner again(later.context(), resumed);
    EXPECT_EQ(again.take_start_point(), Learner::Origin::all);
    EXPECT_EQ(again.steps_done(), 3);
    train(again, 3);
    EXPECT_EQ(bits_of(again), bits_of(learner));
    if (world().rank() == 0) {
      EXPECT_EQ(again.position(), learner.position());
    }
  }
}

TEST(Learner, TakesTheWeightsOnlyOfAPretrainedCheckpoint) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run");
  const setup::Settled settled = setup::settle(run.context(), setup::Intent::train);
  Learner learner(run.context(), settled);
  learner.take_start_point();
  train(learner, 3);
  write_checkpoint(learner, settled, directory / "checkpoint.h5");

  const SmallRun later(
      world(), directory / "later",
      {"--checkpoint_path", directory / "checkpoint.h5", "--is_pretrained_checkpoint", "runconfig.seed=9"});
  const setup::Settled fresh = setup::settle(later.context(), setup::Intent::train);
  Learner again(later.context(), fresh);
  EXPECT_EQ(again.take_start_point(), Learner::Origin::weights);
  EXPECT_EQ(again.steps_done(), 0);
  EXPECT_EQ(bits_of(again), bits_of(learner));
}

TEST(Learner, ItsPositionIsThatOfTheDataAndTheSeed) {
  const CommonDirectory directory(world());
  const SmallRun run(world(), directory / "run", {"runconfig.seed=5", "train_input.batch_size=2400"});
  const setup::Settled settled = setup::settle(run.context(), setup::Intent::train);
  Learner learner(run.context(), settled);
  learner.take_start_point();
  train(learner, 5);
  EXPECT_EQ(learner.epoch(), 0) << "of the last step";
  if (world().rank() != 0) return;
  const store::TrainState position = learner.position();
  EXPECT_EQ(position.step, 5);
  EXPECT_EQ(position.epoch, 1) << "of the next sample";
  EXPECT_EQ(position.samples_seen, 12'000);
  EXPECT_EQ(position.seed, 5U);
  EXPECT_EQ(position.labels_sha256.size(), 64U);
}

TEST(Learner, GroupsOfRanksLearnSideBySide) {
  const auto bits_of_group = [](const comm::Communicator& group, std::uint64_t seed) {
    const CommonDirectory directory(group);
    const SmallRun run(group, directory / "run", {"runconfig.seed=" + std::to_string(seed)});
    const setup::Settled settled = setup::settle(run.context(), setup::Intent::train);
    Learner learner(run.context(), settled);
    learner.take_start_point();
    train(learner, 3);
    learner.check_replicas();
    return bits_of(learner);
  };
  const int color = world().rank() % 2;
  const std::string of_group = bits_of_group(world().split(color), static_cast<std::uint64_t>(color));
  for (int seed = 0; seed < std::min(2, world().size()); ++seed) {
    const std::string alone = bits_of_group(world(), static_cast<std::uint64_t>(seed));
    if (seed == color) {
      EXPECT_EQ(of_group, alone) << "a reproducible run has the same bits on any ranks";
    }
  }
}

}  // namespace
}  // namespace fcmnist::run
