#include "train/replica_samples.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "data/validation_split.hpp"
#include "support/small_problem.hpp"

namespace fcmnist::train {
namespace {

constexpr std::size_t samples = 100;

/// The ids of a step, replica by replica, in the order in which they are computed.
std::vector<std::uint32_t> ids_of_step(const config::RunConfig& config, int replicas, std::int64_t step) {
  const test::SmallProblem problem(samples);
  const data::EpochPlan plan(data::training_samples(config.train_input, samples),
                             step_batch(config, replicas), false);
  std::vector<std::uint32_t> ids;
  for (int replica = 0; replica < replicas; ++replica) {
    ReplicaSamples share(config, problem.view(), plan, training_microbatches(config, replicas), replica);
    const ReplicaSamples::Step now = share.at(step);
    for (std::size_t m = 0; m < now.microbatches; ++m) {
      const auto part = share.microbatch(now, m);
      ids.insert(ids.end(), part.begin(), part.end());
    }
  }
  return ids;
}

TEST(ReplicaSamples, ReplicasShareTheSameSamplesInTheSameOrderWhateverTheirNumber) {
  for (const long microbatch : {0L, 5L}) {
    config::RunConfig config = test::small_config();
    config.run.microbatch = static_cast<int>(microbatch);
    for (const std::int64_t step : {0, 2, 3, 7}) {  // 2 is the short one of the first epoch
      const auto alone = ids_of_step(config, 1, step);
      EXPECT_EQ(alone.size(), step % 3 == 2 ? 26U : 37U);
      for (const int replicas : {2, 3, 5}) EXPECT_EQ(ids_of_step(config, replicas, step), alone) << replicas;
    }
  }
}

TEST(ReplicaSamples, ValidationSamplesAreNotAmongThem) {
  config::RunConfig config = test::small_config();
  config.train_input.validation_size = 26;
  const data::ValidationSplit split = data::split_off_validation(samples, 26, config.run.seed);
  std::vector<std::uint32_t> epoch;
  for (const std::int64_t step : {0, 1}) {
    const auto ids = ids_of_step(config, 3, step);
    epoch.insert(epoch.end(), ids.begin(), ids.end());
  }
  std::ranges::sort(epoch);
  EXPECT_EQ(epoch, split.training);
}

TEST(ReplicaSamples, EachEpochHasAnOrderOfItsOwn) {
  const config::RunConfig config = test::small_config();
  EXPECT_NE(ids_of_step(config, 1, 0), ids_of_step(config, 1, 3));
}

}  // namespace
}  // namespace fcmnist::train
