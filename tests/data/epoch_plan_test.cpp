#include "data/epoch_plan.hpp"

#include "data/idx_fixtures.hpp"

namespace fcmnist::data {
namespace {

using testing::error_of;
using testing::expect_contains;

TEST(EpochPlan, StepsOfAnEpochAreDisjointAndCover) {
  for (const std::size_t samples : {1U, 99U, 100U, 101U, 1000U}) {
    for (const std::size_t step_batch : {1U, 7U, 100U}) {
      const EpochPlan plan(samples, step_batch, false);
      std::size_t next = 0;
      for (std::uint64_t step = 0; step < plan.steps_per_epoch(); ++step) {
        const StepSamples taken = plan.at(3 * plan.steps_per_epoch() + step);
        EXPECT_EQ(taken.epoch, 3U);
        EXPECT_EQ(taken.positions.begin, next);
        EXPECT_GT(taken.positions.size(), 0U);
        EXPECT_LE(taken.positions.size(), step_batch);
        next = taken.positions.end;
      }
      EXPECT_EQ(next, samples);
      EXPECT_EQ(plan.samples_per_epoch(), samples);
    }
  }
}

TEST(EpochPlan, DropLastBatchLeavesOutTheTailOnly) {
  EXPECT_EQ(EpochPlan(60'000, 128, true).steps_per_epoch(), 468U);
  EXPECT_EQ(EpochPlan(60'000, 128, true).samples_per_epoch(), 59'904U);
  EXPECT_EQ(EpochPlan(60'000, 128, false).steps_per_epoch(), 469U);
  EXPECT_EQ(EpochPlan(60'000, 128, false).at(468).positions, (Range{59'904, 60'000}));
  EXPECT_EQ(EpochPlan(60'000, 128, true).at(468), (StepSamples{1, {0, 128}}));
  EXPECT_EQ(EpochPlan(60'000, 100, true).steps_per_epoch(), 600U) << "no tail to drop";
}

TEST(EpochPlan, TheCapShortensAnEpochButNeverLengthensIt) {
  const EpochPlan capped(1000, 100, false, 3);
  EXPECT_EQ(capped.steps_per_epoch(), 3U);
  EXPECT_EQ(capped.samples_per_epoch(), 300U);
  EXPECT_EQ(capped.at(3), (StepSamples{1, {0, 100}}));
  EXPECT_EQ(EpochPlan(1000, 100, false, 11).steps_per_epoch(), 10U);
  EXPECT_EQ(EpochPlan(1050, 100, false, 11).at(10).positions, (Range{1000, 1050}));
}

TEST(EpochPlan, AnEpochWithoutAStepIsAUsageErrorWithTheArithmetic) {
  expect_contains(error_of<UsageError>([] { EpochPlan(100, 128, true); }),
                  {"drop_last_batch", "100 samples / 128 samples per step", "HINT: ", "at most 100"});
  EXPECT_EQ(EpochPlan(100, 128, false).steps_per_epoch(), 1U);
}

// The samples that all replicas see in a step, cut further into microbatches, are the same on every world.
TEST(EpochPlan, EveryWorldSeesTheSameSamples) {
  const EpochPlan plan(1000, 96, false);
  for (std::uint64_t step = 0; step < plan.steps_per_epoch(); ++step) {
    const Range positions = plan.at(step).positions;
    for (const std::size_t replicas : {1U, 2U, 3U, 8U, 97U}) {
      std::size_t next = positions.begin;
      for (std::size_t replica = 0; replica < replicas; ++replica) {
        const Range share = share_of(positions.size(), replicas, replica);
        for (std::size_t micro = 0; micro < 2; ++micro) {
          const Range part = share_of(share.size(), 2, micro);
          EXPECT_EQ(positions.begin + share.begin + part.begin, next);
          next += part.size();
        }
      }
      EXPECT_EQ(next, positions.end);
    }
  }
}

}  // namespace
}  // namespace fcmnist::data
