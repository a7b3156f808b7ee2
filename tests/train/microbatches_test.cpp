#include "train/microbatches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace fcmnist::train {
namespace {

/// The microbatches of all replicas, in the order of the samples; none that is empty.
std::vector<Range> all_of(const Microbatches& microbatches, std::size_t samples, int replicas) {
  std::vector<Range> all;
  std::vector<std::size_t> counts;
  for (int replica = 0; replica < replicas; ++replica) {
    counts.push_back(0);
    for (std::size_t n = 0; n < microbatches.count(samples, replica); ++n) {
      const Range part = microbatches.of(samples, replica, n);
      EXPECT_LE(part.end, samples);
      EXPECT_LE(part.size(), microbatches.largest(samples));
      if (part.size() == 0) continue;
      all.push_back(part);
      ++counts.back();
    }
  }
  EXPECT_LE(std::ranges::max(counts) - std::ranges::min(counts), 1U);
  return all;
}

void expect_cover(const std::vector<Range>& parts, std::size_t samples) {
  std::size_t next = 0;
  for (const Range& part : parts) {
    EXPECT_EQ(part.begin, next);
    next = part.end;
  }
  EXPECT_EQ(next, samples);
}

TEST(Microbatches, OfFixedSizeAreTheSameForAnyNumberOfReplicas) {
  for (const std::size_t samples : {1U, 63U, 64U, 65U, 640U, 1000U}) {
    const auto alone = all_of(Microbatches::of_fixed_size(64, 1), samples, 1);
    expect_cover(alone, samples);
    EXPECT_EQ(alone.size(), (samples + 63) / 64);
    for (const int replicas : {2, 3, 8, 48}) {
      const auto shared = Microbatches::of_fixed_size(64, replicas);
      EXPECT_EQ(all_of(shared, samples, replicas), alone);
      std::size_t most = 0;
      for (int replica = 0; replica < replicas; ++replica)
        most = std::max(most, shared.count(samples, replica));
      EXPECT_EQ(shared.most(samples), most);
    }
  }
}

TEST(Microbatches, SharedEvenlyDifferByOneSampleAtMost) {
  for (const std::size_t samples : {1U, 64U, 65U, 1000U}) {
    for (const int replicas : {1, 2, 3, 48}) {
      const auto microbatches = Microbatches::shared_evenly(3, replicas);
      expect_cover(all_of(microbatches, samples, replicas), samples);
      for (int replica = 0; replica < replicas; ++replica) {
        EXPECT_EQ(microbatches.count(samples, replica), 3U);
      }
      const std::size_t parts = 3 * static_cast<std::size_t>(replicas);
      EXPECT_LE(microbatches.largest(samples), samples / parts + 1);
    }
  }
}

TEST(Microbatches, TheSamplesOfAReplicaAreThoseOfItsMicrobatches) {
  for (const int replicas : {1, 3, 8}) {
    for (const Microbatches& microbatches :
         {Microbatches::of_fixed_size(64, replicas), Microbatches::shared_evenly(3, replicas)}) {
      for (int replica = 0; replica < replicas; ++replica) {
        std::size_t samples = 0;
        for (std::size_t n = 0; n < microbatches.count(1000, replica); ++n) {
          samples += microbatches.of(1000, replica, n).size();
        }
        EXPECT_EQ(microbatches.samples_of(1000, replica).size(), samples);
      }
    }
  }
}

TEST(Microbatches, AStepIsAtMostAnEpoch) {
  config::RunConfig config;
  config.train_input.batch_size = 100;
  config.optimizer.grad_accum_steps = 2;
  EXPECT_EQ(largest_step(config, 4, 1000), step_batch(config, 4));
  EXPECT_EQ(largest_step(config, 4, 150), 150U);
}

TEST(Microbatches, TheMostOfATrainingStepIsThatOfTheBusiestReplica) {
  config::RunConfig config;
  config.train_input.batch_size = 1000;
  config.run.reproducible = true;
  config.run.microbatch = 64;  // 16 of them for 3 replicas
  const Microbatches microbatches = training_microbatches(config, 3, 1);
  std::size_t most = 0;
  for (int r = 0; r < 3; ++r) most = std::max(most, microbatches.count(step_batch(config, 3), r));
  EXPECT_EQ(most_training_microbatches(config, 3, 1), most);
  EXPECT_EQ(most, 6U);
}

TEST(Microbatches, AReplicaWithoutSamplesHasOneThatIsEmpty) {
  const auto microbatches = Microbatches::of_fixed_size(10, 4);
  std::size_t empty = 0;
  for (int replica = 0; replica < 4; ++replica) {
    EXPECT_EQ(microbatches.count(25, replica), 1U);
    empty += microbatches.of(25, replica, 0).size() == 0 ? 1 : 0;
  }
  EXPECT_EQ(empty, 1U);
}

TEST(Microbatches, StagesHaveFourEachUnlessTheyWouldBeSmall) {
  config::RunConfig config;
  const auto count = [&](int batch, int replicas, int stages) {
    config.train_input.batch_size = batch;
    return training_microbatches(config, replicas, stages).count(static_cast<std::size_t>(batch), 0);
  };
  EXPECT_EQ(count(1024, 1, 1), 1U);
  EXPECT_EQ(count(1024, 1, 2), 8U);
  EXPECT_EQ(count(1024, 2, 3), 12U);
  EXPECT_EQ(count(128, 1, 3), 8U) << "of 16 samples";
  EXPECT_EQ(count(128, 4, 2), 2U);
  EXPECT_EQ(count(20, 4, 2), 1U);
  config.optimizer.grad_accum_steps = 5;
  EXPECT_EQ(count(20, 4, 2), 5U) << "never fewer than batches";
  EXPECT_EQ(count(1024, 1, 2), 8U);
  config.run.microbatch = 100;
  EXPECT_EQ(count(1000, 1, 2), 10U) << "as it was asked for";
}

TEST(Microbatches, OfAnEvaluationAreTheSameInAnyWorldWhenThoseOfTrainingAre) {
  config::RunConfig config;
  config.eval_input.batch_size = 100;
  const auto size = [&](int replicas, int stages) {
    return evaluation_microbatches(config, replicas, stages, 10'000).largest(10'000);
  };
  EXPECT_EQ(size(4, 1), 25U) << "a replica's share of the batch";
  EXPECT_EQ(size(4, 2), 25U) << "small enough for stages";
  config.eval_input.batch_size = 10'000;
  EXPECT_EQ(size(1, 1), 10'000U);
  EXPECT_EQ(size(1, 2), 1250U);
  EXPECT_EQ(size(2, 3), 417U);
  EXPECT_EQ(size(50, 4), 64U) << "smaller ones are slow";
  config.run.microbatch = 5;
  for (const int replicas : {1, 3, 48}) {
    EXPECT_EQ(evaluation_microbatches(config, replicas, 1, 10'000).largest(10'000), 64U);
    EXPECT_EQ(evaluation_microbatches(config, replicas, 1, 1'000'000).largest(1'000'000), 245U);
    EXPECT_EQ(evaluation_microbatches(config, replicas, 1, 7).largest(7), 7U);
  }
}

}  // namespace
}  // namespace fcmnist::train
