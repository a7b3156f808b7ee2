#include "plan/forecast.hpp"

#include <gtest/gtest.h>

#include "comm/placement.hpp"
#include "train/stage_placement.hpp"

namespace fcmnist::plan {
namespace {

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

TEST_F(Forecasts, OfTwoPhasesWaitOnceMoreThanOfClipping) {
  config.optimizer.max_gradient_norm = 1.0;
  const double clipped = on(4, 1).update_s;
  config.optimizer.type = optim::OptimizerType::lamb;
  EXPECT_NEAR(on(4, 1).update_s, clipped + 4 * 1e-6, 1e-12);
  config.optimizer.max_gradient_norm = 0.0;
  EXPECT_NEAR(on(4, 1).update_s, clipped + 4 * 1e-6, 1e-12) << "the sum comes first without it too";
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
