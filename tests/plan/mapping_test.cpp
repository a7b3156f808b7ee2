#include "plan/mapping.hpp"

#include <gtest/gtest.h>

#include "comm/placement.hpp"
#include "train/microbatches.hpp"
#include "train/stage_placement.hpp"

namespace fcmnist::plan {
namespace {

constexpr data::DatasetShape mnist{60'000, 28, 28};

/// Neighbouring ranks share a node, as comm::planned_placement() deals them.
Mapping map(const config::RunConfig& config, int ranks, int nodes, int stages = 1,
            train::Shapes shapes = {mnist, {}}) {
  const auto widths = model::widths_of(config.model, shapes.train.features());
  return map_training(config, shapes, train::place_stages(widths, stages),
                      comm::planned_placement(ranks, nodes));
}

config::RunConfig with(int batch_size) {
  config::RunConfig config;  // 784-500-300-10
  config.train_input.batch_size = batch_size;
  return config;
}

TEST(Mapping, OfOneRankIsTheWholeModel) {
  const Mapping mapping = map(with(128), 1, 1);
  EXPECT_EQ(mapping.ranks(), 1);
  EXPECT_EQ(mapping.replicas, 1);
  EXPECT_EQ(mapping.step_samples, 128U);
  EXPECT_EQ(mapping.replica_samples, (Range{128, 128}));
  EXPECT_EQ(mapping.replica_microbatches, (Range{1, 1}));
  EXPECT_EQ(mapping.microbatch_samples, 128U);
  ASSERT_EQ(mapping.stages.size(), 1U);
  EXPECT_EQ(mapping.stages[0].parameters, 545'810U);
  EXPECT_EQ(mapping.stages[0].blocks, mapping.stages[0].most_owned);
  EXPECT_EQ(mapping.stages[0].blocks, mapping.stages[0].least_owned);
  EXPECT_EQ(mapping.sent_between_nodes, 0U);
  EXPECT_EQ(mapping.sent_between_stages, 0U);
}

TEST(Mapping, SharesDifferByOne) {
  const Mapping mapping = map(with(100), 8, 3);
  EXPECT_EQ(mapping.nodes, 3);
  EXPECT_EQ(mapping.replica_samples, (Range{12, 13}));
  const StageMapping& stage = mapping.stages[0];
  EXPECT_EQ(stage.nodes, 3);
  EXPECT_EQ(stage.most_node_ranks, 3);
  EXPECT_EQ(stage.least_owned, stage.blocks / 3);
  EXPECT_EQ(stage.most_owned, (stage.blocks + 1) / 2) << "a node with 2 ranks";
}

TEST(Mapping, AStepIsAtMostTheData) {
  const Mapping mapping = map(with(1000), 2, 1, 1, {{60, 28, 28}, {}});
  EXPECT_EQ(mapping.step_samples, 60U);
  EXPECT_EQ(mapping.microbatch_samples, 30U);
}

TEST(Mapping, OfStagesHasTheirLayersAndRanks) {
  const Mapping mapping = map(with(128), 6, 2, 2);
  EXPECT_EQ(mapping.replicas, 3);
  ASSERT_EQ(mapping.stages.size(), 2U);
  EXPECT_EQ(mapping.stages[0].layers.begin, 0U);
  EXPECT_EQ(mapping.stages[0].layers.end, mapping.stages[1].layers.begin);
  EXPECT_EQ(mapping.stages[1].layers.end, 3U);
  EXPECT_EQ(mapping.stages[0].ranks, (Range{0, 3}));
  EXPECT_EQ(mapping.stages[1].ranks, (Range{3, 6}));
  EXPECT_EQ(mapping.stages[0].parameters + mapping.stages[1].parameters, 545'810U);
  for (const StageMapping& stage : mapping.stages) {
    EXPECT_EQ(stage.nodes, 1) << "the replicas of a stage share a node";
    EXPECT_EQ(stage.most_node_ranks, 3);
  }
  EXPECT_EQ(mapping.sent_between_nodes, 0U) << "gradients stay on a node";
  EXPECT_EQ(mapping.sent_between_stages, 2U * 43 * 500 * 4)
      << "activations of 500 units go there, their gradients come back";
  EXPECT_EQ(mapping.replica_microbatches, (Range{2, 2})) << "each has at least 16 of 42 samples";
}

TEST(Mapping, AnotherSplitMayBeGiven) {
  const config::RunConfig config = with(128);
  const std::vector<model::LayerRange> split = {{0, 2}, {2, 3}};
  const Mapping mapping = map_training(config, {mnist, {}}, split, comm::planned_placement(2, 1));
  EXPECT_EQ(mapping.stages[0].parameters, 784U * 500 + 500 + 500 * 300 + 300);
  EXPECT_EQ(mapping.stages[1].inputs, 300U);
}

TEST(Mapping, BytesBetweenNodesAreThoseOfARing) {
  const Mapping two = map(with(8192), 32, 2), many = map(with(8192), 1024, 64);
  std::size_t gradient = 0;
  for (const Range& part : two.stages[0].parts) gradient += part.size() * 4;
  EXPECT_EQ(two.sent_between_nodes, gradient);
  const double two_chunks_of_a_part = 2.0 * 4;  // a chunk may have one number more or less than its share
  EXPECT_NEAR(static_cast<double>(many.sent_between_nodes), 2.0 * 63 / 64 * static_cast<double>(gradient),
              two_chunks_of_a_part * static_cast<double>(many.stages[0].parts.size()));
  config::RunConfig reproducible = with(8192);
  reproducible.run.reproducible = true;
  reproducible.run.microbatch = 256;
  EXPECT_EQ(map(reproducible, 32, 2).sent_between_nodes, 2 * gradient) << "integers of 8 bytes";
}

TEST(Mapping, PartsOfTheGradientCoverIt) {
  for (const int nodes : {1, 4}) {
    const StageMapping stage = map(with(128), 4, nodes).stages[0];
    EXPECT_EQ(stage.parts.size() > 3, nodes > 1) << "parts that travel are smaller than a layer";
    std::size_t numbers = 0;
    for (const Range& part : stage.parts) numbers += part.size();
    EXPECT_LE(numbers, stage.numbers);
    EXPECT_GE(numbers, stage.parameters);
  }
}

TEST(Mapping, SharedMemoryGrowsWithTheRanksOfANodeNotWithNodes) {
  const std::size_t data = 60'000 * 785;
  const Mapping one = map(with(128), 1, 1), four = map(with(128), 4, 1), spread = map(with(128), 16, 4);
  const std::size_t model = one.stages[0].numbers * 4;
  const auto about = [](std::size_t bytes, std::size_t expected) {
    return bytes >= expected && bytes < expected + 2'000'000;
  };
  EXPECT_TRUE(about(one.shared_on_a_node, data)) << "windows of one rank are memory of its own";
  EXPECT_GE(one.memory_on_a_node, data + 3 * model) << "weights, gradient, momentum";
  EXPECT_TRUE(about(four.shared_on_a_node, data + 6 * model)) << "4 gradients, momentum and offered weights";
  EXPECT_TRUE(about(spread.shared_on_a_node, data + 7 * model)) << "and the sum over nodes";
  const Mapping scored = map(with(128), 1, 1, 1, {mnist, data::DatasetShape{10'000, 28, 28}});
  EXPECT_EQ(scored.shared_on_a_node - one.shared_on_a_node, 10'000U * 785);
}

TEST(Mapping, AveragingOverShiftsNeedsTheImagesOfAMicrobatchOnceMore) {
  const train::Shapes shapes = {mnist, data::DatasetShape{10'000, 28, 28}};
  config::RunConfig plain = with(128);
  plain.eval_input.batch_size = 1000;
  config::RunConfig averaged = plain;
  averaged.eval_input.average_shifts = 1;
  const std::size_t of_shifts = 500 * (784 + 1 + 4) + 500 * 10 * 8;  // pixels, label, number; probabilities
  const std::size_t of_run = map(averaged, 2, 1, 1, shapes).private_memory.activations -
                             map(plain, 2, 1, 1, shapes).private_memory.activations;
  EXPECT_EQ(of_run, of_shifts);
  const auto placement = comm::planned_placement(2, 1);
  EXPECT_EQ(map_evaluation(averaged, *shapes.eval, placement).private_memory -
                map_evaluation(plain, *shapes.eval, placement).private_memory,
            of_shifts);
}

TEST(Mapping, PrivateMemoryIsWeightsActivationsAndOrder) {
  const Mapping one = map(with(128), 1, 1);
  EXPECT_EQ(one.private_memory.weights, one.stages[0].numbers * 4);
  const config::RunConfig config = with(128);
  const model::Mlp mlp({784, 500, 300, 10}, config.model, config.kernels.gemm);
  EXPECT_EQ(one.private_memory.activations, model::Workspace::bytes(mlp, 128) + 128);
  EXPECT_EQ(one.private_memory.messages, 0U);
  EXPECT_EQ(one.private_memory.other, 60'000U * 8);
  // The first stage has two microbatches in flight, and rank 0 gathers the network for checkpoints.
  const Mapping pipelined = map(with(128), 2, 1, 2);
  EXPECT_EQ(pipelined.private_memory.messages, 2U * 3 * 500 * 16 * 4);
  EXPECT_EQ(pipelined.private_memory.other, 60'000U * 8);
  EXPECT_EQ(one.saving_on_rank_0, 4 * one.stages[0].numbers * 4)
      << "an image of weights and momentum, and a copy";
  EXPECT_EQ(pipelined.saving_on_rank_0, 6 * one.stages[0].numbers * 4) << "and the arrays of all stages";
  EXPECT_GE(one.private_memory.windows, 2 * one.stages[0].numbers * 4) << "its gradient and momentum";
  EXPECT_EQ(map(with(128), 2, 1).private_memory.windows, 0U) << "two ranks share their windows";
}

/// Each rank has working weights in halves. A node has master weights in float32, and the halves that its ranks
/// offer each other.
TEST(Mapping, CountsMasterWeightsAndWorkingWeightsOnceEach) {
  for (const auto precision : {model::Precision::bfloat16, model::Precision::float16}) {
    config::RunConfig half = with(128);
    half.model.precision = precision;
    const Mapping one = map(with(128), 1, 1), half_one = map(half, 1, 1);
    const std::size_t numbers = one.stages[0].numbers;
    EXPECT_EQ(half_one.private_memory.weights, numbers * 2);
    EXPECT_EQ(half_one.private_memory.windows, one.private_memory.windows + numbers * 4);
    EXPECT_EQ(half_one.saving_on_rank_0, one.saving_on_rank_0) << "checkpoints hold master weights";
    const Mapping four = map(with(128), 4, 1), half_four = map(half, 4, 1);
    EXPECT_EQ(half_four.private_memory.weights, numbers * 2);
    EXPECT_EQ(half_four.private_memory.windows, 0U);
    EXPECT_EQ(half_four.shared_on_a_node, four.shared_on_a_node + numbers * 4 - numbers * 2);
  }
}

TEST(Mapping, OfALargeWorldNeedsNoWorld) {
  const Mapping mapping = map(with(8192), 1024, 64);
  EXPECT_EQ(mapping.nodes, 64);
  EXPECT_EQ(mapping.replica_samples, (Range{8, 8}));
  EXPECT_EQ(mapping.stages[0].most_node_ranks, 16);
}

TEST(Mapping, OfAnEvaluationSharesTheSamples) {
  config::RunConfig config;
  config.run.mode = config::Mode::eval;
  const auto on = [&](int ranks) {
    return map_evaluation(config, {10'000, 28, 28}, comm::planned_placement(ranks, 1));
  };
  EXPECT_EQ(on(1).rank_samples, (Range{10'000, 10'000}));
  EXPECT_EQ(on(4).samples, 10'000U);
  EXPECT_LE(on(4).rank_samples.begin, 2500U);
  EXPECT_GE(on(4).rank_samples.end, 2500U);
  EXPECT_GT(on(2).shared_on_a_node, on(1).shared_on_a_node) << "weights are offered to the other rank";
  config.run.eval_steps = 3;
  EXPECT_EQ(on(4).samples, 3U * 128);
}

}  // namespace
}  // namespace fcmnist::plan
