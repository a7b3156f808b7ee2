#include "plan/forecast.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "train/stage_placement.hpp"

namespace fcmnist::plan {
namespace {

/// Stages of forward 1 and backward 2, the first half of it 1.
std::vector<StageTime> equal_stages(std::size_t count) {
  return std::vector<StageTime>(count, {0.0, 1.0, 1.0, 1.0});
}

double makespan(const std::vector<StageTime>& stages, std::size_t microbatches, double link_s = 0.0) {
  return simulate_pipeline(stages, std::vector<double>(stages.size() - 1, link_s), microbatches).total_s;
}

TEST(SimulatePipeline, OneStageIsTheSum) {
  EXPECT_DOUBLE_EQ(makespan({{0.5, 1.0, 2.0, 3.0}}, 4), 4 * 6.5);
  EXPECT_DOUBLE_EQ(simulate_pipeline(equal_stages(1), {}, 4).bubble_fraction, 0.0);
}

TEST(SimulatePipeline, EqualStagesTakeTheMicrobatchesAndTheStagesButOne) {
  for (std::size_t stages = 2; stages <= 5; ++stages) {
    for (std::size_t m = stages; m <= 9; ++m) {
      const std::vector<StageTime> whole(stages, {0.0, 1.0, 2.0, 0.0});
      EXPECT_DOUBLE_EQ(makespan(whole, m), 3.0 * static_cast<double>(m + stages - 1)) << stages << " " << m;
    }
  }
}

TEST(SimulatePipeline, TheBubbleOfEqualStagesIsKnown) {
  const std::vector<StageTime> whole(3, {0.0, 1.0, 2.0, 0.0});
  const PipelineForecast result = simulate_pipeline(whole, std::vector<double>(2, 0.0), 6);
  EXPECT_DOUBLE_EQ(result.bubble_fraction, 2.0 / (6 + 2));
}

TEST(SimulatePipeline, AGradientThatLeavesEarlyShortensThePipeline) {
  const std::vector<StageTime> whole(4, {0.0, 1.0, 2.0, 0.0});
  EXPECT_LT(makespan(equal_stages(4), 4), makespan(whole, 4));
  EXPECT_DOUBLE_EQ(makespan(equal_stages(2), 1), 2.0 + 1.0 + 2.0);
}

TEST(SimulatePipeline, TheSlowestStageDecidesWhenThereAreManyMicrobatches) {
  const std::vector<StageTime> stages = {{0.0, 1.0, 1.0, 0.0}, {0.0, 3.0, 3.0, 0.0}, {0.0, 1.0, 1.0, 0.0}};
  EXPECT_NEAR(makespan(stages, 1000) / 1000, 6.0, 0.02);
}

TEST(SimulatePipeline, MessagesDelayTheEndsOnly) {
  const std::vector<StageTime> whole(2, {0.0, 1.0, 2.0, 0.0});
  EXPECT_DOUBLE_EQ(makespan(whole, 1, 0.25), 2 * 3.0 + 2 * 0.25);
  EXPECT_LT(makespan(whole, 8, 0.25), makespan(whole, 8) + 8 * 0.5);
}

TEST(SimulatePipeline, FewerMicrobatchesThanStagesEndToo) {
  EXPECT_DOUBLE_EQ(makespan(std::vector<StageTime>(4, {0.0, 1.0, 2.0, 0.0}), 1), 4 * 3.0);
  EXPECT_DOUBLE_EQ(makespan(equal_stages(3), 0), 0.0);
}

TEST(SimulateRings, OfOneNodeTakeNothing) {
  EXPECT_EQ(simulate_rings(std::vector<double>{0.0}, std::vector<double>{1e6}, 1, {1e9, 1e-3}), 0.0);
}

TEST(SimulateRings, OnePartTakesItsBytesAndTheStepsOfARing) {
  const std::vector<double> written = {0.0}, bytes = {8e6};
  EXPECT_DOUBLE_EQ(simulate_rings(written, bytes, 2, {1e9, 1e-3}), 8e-3 + 2e-3);
  EXPECT_DOUBLE_EQ(simulate_rings(written, bytes, 4, {1e9, 1e-3}), 12e-3 + 6e-3);
}

TEST(SimulateRings, BackwardHidesWhatIsWrittenEarly) {
  const std::vector<double> bytes = {1e6, 1e6};
  const LinkRate link{1e9, 0.0};  // a part takes 1 ms between 2 nodes
  EXPECT_DOUBLE_EQ(simulate_rings(std::vector<double>{-5e-3, 0.0}, bytes, 2, link), 1e-3);
  EXPECT_DOUBLE_EQ(simulate_rings(std::vector<double>{-0.5e-3, 0.0}, bytes, 2, link), 1.5e-3);
  EXPECT_DOUBLE_EQ(simulate_rings(std::vector<double>{-9e-3, -8e-3}, bytes, 2, link), 0.0);
}

TEST(SimulateRings, FourPartsAreOnTheirWayAtOnce) {
  const LinkRate link{1e12, 1e-3};  // a ring of 2 nodes waits twice
  const auto parts = [&](std::size_t count) {
    return simulate_rings(std::vector<double>(count, 0.0), std::vector<double>(count, 1.0), 2, link);
  };
  EXPECT_NEAR(parts(1), 2e-3, 1e-9);
  EXPECT_NEAR(parts(4), 2e-3, 1e-9);
  EXPECT_NEAR(parts(5), 4e-3, 1e-9);
  EXPECT_NEAR(parts(9), 6e-3, 1e-9);
}

class Forecasts : public testing::Test {
 protected:
  Forecasts() {
    config.train_input.batch_size = 1024;
    rates.stages = {{1e-5, 1e-3, 1e-3, 1e-3}};
    rates.update_s = 1e-9;
    rates.add_s = 5e-10;
    rates.copy_s = 2e-10;
    rates.wait_s = 1e-6;
    rates.within_node = {1e10, 1e-6};
    rates.between_nodes = {1e9, 2e-5};
  }

  [[nodiscard]] Mapping map(int ranks, int nodes, int stages = 1) const {
    const train::Shapes shapes{{60'000, 28, 28}, {}};
    const auto widths = model::widths_of(config.model, shapes.train.features());
    return map_training(config, shapes, train::place_stages(widths, stages),
                        comm::planned_placement(ranks, nodes));
  }
  [[nodiscard]] Forecast on(int ranks, int nodes) const { return forecast(config, map(ranks, nodes), rates); }

  config::RunConfig config;
  Rates rates;
};

TEST_F(Forecasts, OfOneRankIsItsComputationAndItsUpdate) {
  const Mapping mapping = map(1, 1);
  const Forecast result = forecast(config, mapping, rates);
  EXPECT_DOUBLE_EQ(result.data_s, 1e-5);
  EXPECT_DOUBLE_EQ(result.compute_s, 3e-3);
  EXPECT_NEAR(result.update_s, static_cast<double>(mapping.stages[0].numbers) * 1e-9, 1e-12);
  EXPECT_EQ(result.network_s, 0.0);
  EXPECT_EQ(result.pipeline_s, 0.0);
  EXPECT_DOUBLE_EQ(result.step_s(), result.data_s + result.compute_s + result.update_s);
}

TEST_F(Forecasts, OfSeveralRanksDividesTheUpdateAndCopiesTheRest) {
  const Mapping mapping = map(2, 1);
  const auto numbers = static_cast<double>(mapping.stages[0].numbers);
  const double owned = numbers * static_cast<double>(mapping.stages[0].most_owned) /
                       static_cast<double>(mapping.stages[0].blocks);
  const Forecast result = forecast(config, mapping, rates);
  EXPECT_NEAR(result.update_s, owned * 1.5e-9 + numbers * 2e-10 + 2 * 2 * 1e-6, 1e-12);
}

TEST_F(Forecasts, OfClippingReadsTheGradientTwice) {
  const double without = on(4, 1).update_s;
  config.optimizer.max_gradient_norm = 1.0;
  EXPECT_GT(on(4, 1).update_s, without);
}

TEST_F(Forecasts, OfADynamicLossScaleReadsTheGradientTwiceInHalf) {
  const double without = on(4, 1).update_s;
  config.optimizer.loss_scale.factor = optim::LossScaleOptions::dynamic;
  EXPECT_EQ(on(4, 1).update_s, without) << "float32 needs no scale";
  config.model.precision = model::Precision::float16;
  const double scaled = on(4, 1).update_s;
  config.optimizer.loss_scale.factor = 1024.0;
  EXPECT_EQ(on(4, 1).update_s, without);
  EXPECT_GT(scaled, without);
}

TEST_F(Forecasts, OfTheSameBitsAddsTheRounding) {
  config.run.reproducible = true;
  config.run.microbatch = 256;
  rates.fixed_point_s = 1e-9;
  const Mapping mapping = map(2, 1);  // 2 microbatches each
  const Forecast result = forecast(config, mapping, rates);
  const auto numbers = static_cast<double>(mapping.stages[0].numbers);
  EXPECT_NEAR(result.compute_s, 2 * (3e-3 + numbers * 1e-9), 1e-9);
}

TEST_F(Forecasts, OfSeveralNodesAddWhatBackwardDoesNotHide) {
  const double two = on(8, 2).network_s;
  EXPECT_GT(two, 0.0);
  EXPECT_LT(two, 2 * 2.2e-3) << "less than all of it";
  rates.stages[0].weights_s = 1.0;  // hides all but the last part
  const double hidden = on(8, 2).network_s;
  EXPECT_LT(hidden, two / 2);
  EXPECT_GT(hidden, 0.0);
  rates.between_nodes.bytes_per_s /= 10;
  EXPECT_GT(on(8, 2).network_s, hidden);
}

TEST_F(Forecasts, OfMoreRanksThanCoresTakeTurns) {
  const double alone = on(4, 1).compute_s;
  rates.ranks_per_core = 2.0;
  EXPECT_DOUBLE_EQ(on(4, 1).compute_s, 2 * alone);
  rates.ranks_per_core = 0.25;
  EXPECT_DOUBLE_EQ(on(4, 1).compute_s, alone);
}

TEST_F(Forecasts, OfStagesIsThatOfTheScheduleAndTheSlowestUpdate) {
  rates.stages = {{0.0, 1e-3, 2e-3, 0.0}, {0.0, 1e-3, 2e-3, 0.0}};
  rates.within_node = {1e15, 0.0};
  const Mapping mapping = map(2, 1, 2);
  ASSERT_EQ(mapping.replica_microbatches.end, 8U);
  const Forecast result = forecast(config, mapping, rates);
  EXPECT_NEAR(result.compute_s + result.pipeline_s, 3e-3 * (8 + 1), 1e-6);
  EXPECT_NEAR(result.bubble_fraction, 1.0 / 9, 1e-6);
}

}  // namespace
}  // namespace fcmnist::plan
