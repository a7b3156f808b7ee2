#include "plan/pipeline_simulation.hpp"

#include <gtest/gtest.h>

namespace fcmnist::plan {
namespace {

/// Stages whose forward takes 1 s and whose backward takes 2 s, one for each half.
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

}  // namespace
}  // namespace fcmnist::plan
