#include "train/trainer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "kernels/gemm.hpp"
#include "support/mpi_test.hpp"
#include "train/small_problem.hpp"

namespace fcmnist::train {
namespace {

using test::small_config;
using test::SmallProblem;
using test::world;

struct Trained {
  std::vector<double> losses, norms;
  std::vector<float> weights;
};

/// Trains on the ranks of `group`; every rank of the world may be in a group of its own.
Trained train(const comm::Communicator& group, const config::RunConfig& config, int ranks_per_node, int steps,
              std::size_t samples = 150) {
  const SmallProblem problem(samples);
  const data::Dataset dataset = problem.view();
  const comm::Topology topology(group, ranks_per_node);
  const model::Mlp mlp(model::widths_of(config.model, dataset.features()), config.model, config.kernels.gemm);
  const data::EpochPlan plan(samples, step_batch(config, group.size()), config.train_input.drop_last_batch);
  ModelState state(topology, mlp);
  Trainer trainer(config, topology, dataset, plan, mlp, state, steps, true);
  state.initialize(config.run.seed);
  Trained trained;
  for (int s = 0; s < steps; ++s) {
    const StepResult step = trainer.step();
    trained.losses.push_back(step.loss);
    trained.norms.push_back(step.gradient_norm);
  }
  for (const Slot& slot : mlp.layout().slots()) {
    const float* begin = state.weights().data() + slot.offset;
    trained.weights.insert(trained.weights.end(), begin, begin + slot.count());
  }
  // Every rank has a copy of its own; all must be the same bits.
  const std::string_view bits(reinterpret_cast<const char*>(trained.weights.data()),
                              trained.weights.size() * sizeof(float));
  EXPECT_TRUE(bits == group.broadcast(bits, 0)) << "rank " << group.rank();
  return trained;
}

void expect_same_training(const Trained& a, const Trained& b) {
  ASSERT_EQ(a.losses.size(), b.losses.size());
  for (std::size_t s = 0; s < a.losses.size(); ++s) {
    EXPECT_NEAR(a.losses[s], b.losses[s], 2e-4 * std::abs(b.losses[s])) << "step " << s + 1;
    EXPECT_NEAR(a.norms[s], b.norms[s], 2e-3 * std::abs(b.norms[s])) << "step " << s + 1;
  }
  for (std::size_t i = 0; i < a.weights.size(); ++i) ASSERT_NEAR(a.weights[i], b.weights[i], 1e-3) << i;
}

struct Variant {
  const char* name;
  config::RunConfig config;
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  all.push_back({"plain", small_config()});
  all.push_back({"accumulated", small_config()});
  all.back().config.optimizer.grad_accum_steps = 3;
  all.push_back({"clipped_by_norm", small_config()});
  all.back().config.optimizer.max_gradient_norm = 0.3;
  all.push_back({"clipped_by_value", small_config()});
  all.back().config.optimizer.max_gradient_value = 0.01;
  all.push_back({"dropped_tail", small_config()});
  all.back().config.train_input.drop_last_batch = true;
  all.push_back({"fewer_samples_than_ranks_in_the_tail", small_config()});
  all.back().config.train_input.batch_size = 149;  // 150 samples: the last batch of an epoch has one
  all.push_back({"layers_in_several_parts", small_config()});  // on several nodes
  all.back().config.model.hidden_sizes = {300, 600};
  all.push_back({"two_streams", small_config()});
  all.back().config.model.hidden_sizes = {300, 600};
  all.back().config.comm.exchange_streams = 2;
  all.push_back({"no_bias", small_config()});
  all.back().config.model.use_bias = false;
  if (kernels::available(kernels::GemmBackend::onednn)) {
    all.push_back({"onednn", small_config()});
    all.back().config.kernels.gemm = kernels::GemmBackend::onednn;
  }
  return all;
}

class AnyWorld : public testing::TestWithParam<Variant> {};

// The promise of the program: a world is only a way to divide the same work.
TEST_P(AnyWorld, TrainsWhatOneRankTrains) {
  const comm::Communicator alone = world().split(world().rank());
  const Trained serial = train(alone, GetParam().config, 0, 12);
  EXPECT_LT(serial.losses.back(), serial.losses.front());
  for (const int ranks_per_node : {0, 1, 2, 3}) {
    expect_same_training(train(world(), GetParam().config, ranks_per_node, 12), serial);
  }
}

TEST_P(AnyWorld, RepeatsToTheBit) {
  const Trained first = train(world(), GetParam().config, 2, 6);
  const Trained second = train(world(), GetParam().config, 2, 6);
  EXPECT_EQ(first.losses, second.losses);
  EXPECT_EQ(first.weights, second.weights);
}

INSTANTIATE_TEST_SUITE_P(Variants, AnyWorld, testing::ValuesIn(variants()),
                         [](const auto& variant) { return variant.param.name; });

TEST(Trainer, AccumulationIsTheSameAsALargerBatch) {
  config::RunConfig parts = small_config(), whole = small_config();
  parts.train_input.batch_size = 20;
  parts.optimizer.grad_accum_steps = 3;
  whole.train_input.batch_size = 60;
  expect_same_training(train(world(), parts, 0, 10), train(world(), whole, 0, 10));
}

TEST(Trainer, BatchPerReplicaGrowsWithTheWorld) {
  config::RunConfig per_replica = small_config(), whole = small_config();
  per_replica.train_input.batch_size_per_replica = 9;
  whole.train_input.batch_size = 9 * world().size();
  EXPECT_EQ(step_batch(per_replica, world().size()), step_batch(whole, world().size()));
  expect_same_training(train(world(), per_replica, 0, 10), train(world(), whole, 0, 10));
}

TEST(Trainer, ANonFiniteLossStopsAllRanksBeforeTheWeightsChange) {
  const SmallProblem problem(100);
  const data::Dataset dataset = problem.view();
  const config::RunConfig config = small_config();
  const comm::Topology topology(world());
  const model::Mlp mlp(model::widths_of(config.model, dataset.features()), config.model, config.kernels.gemm);
  const data::EpochPlan plan(dataset.samples(), step_batch(config, world().size()), false);
  ModelState state(topology, mlp);
  Trainer trainer(config, topology, dataset, plan, mlp, state, 10, true);
  state.initialize(1);
  static_cast<void>(trainer.step());
  if (topology.is_leader()) state.weights().data()[0] = std::numeric_limits<float>::quiet_NaN();
  world().barrier();
  const std::vector<float> before(state.weights().all().begin() + 1, state.weights().all().end());
  world().barrier();
  try {
    static_cast<void>(trainer.step());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::diverged);
    EXPECT_TRUE(error.agreed());
  }
  EXPECT_EQ(trainer.steps_done(), 1);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), state.weights().all().begin() + 1));
  world().barrier();
}

}  // namespace
}  // namespace fcmnist::train
