#include "train/pipeline_makespan.hpp"

#include <gtest/gtest.h>

namespace fcmnist::train {
namespace {

TEST(PipelineMakespan, EqualStagesWithoutAnEarlySendHaveTheBubbleOfTheTextbook) {
  const StageTimes stage{1.0, 2.0, 0.0};
  for (std::size_t stages = 1; stages <= 5; ++stages) {
    const std::vector<StageTimes> pipeline(stages, stage);
    for (const std::size_t count : {1U, 2U, 7U, 16U}) {
      EXPECT_DOUBLE_EQ(pipeline_makespan(pipeline, count), 3.0 * static_cast<double>(count + stages - 1));
    }
  }
}

TEST(PipelineMakespan, GradientsThatAreSentBeforeThoseOfTheWeightsAreComputedShortenIt) {
  // F0 F1 B0 ... on stage 0; its first backward begins at 1 + 1 + 1, while stage 1 is at its weights.
  const std::vector<StageTimes> pipeline(2, StageTimes{1.0, 1.0, 1.0});
  EXPECT_DOUBLE_EQ(pipeline_makespan(pipeline, 1), 5.0);  // 1, 1 and 1, then 2 on stage 0
  EXPECT_DOUBLE_EQ(pipeline_makespan(std::vector<StageTimes>(2, StageTimes{1.0, 2.0, 0.0}), 1), 6.0);
}

TEST(PipelineMakespan, TheSlowestStageDecides) {
  const std::vector<StageTimes> pipeline = {{1.0, 0.0, 1.0}, {5.0, 5.0, 0.0}, {1.0, 1.0, 0.0}};
  const double makespan = pipeline_makespan(pipeline, 100);
  EXPECT_GE(makespan, 100 * 10.0);
  EXPECT_LE(makespan, 100 * 10.0 + 20.0);
}

TEST(PipelineMakespan, MessagesTakeTime) {
  const std::vector<StageTimes> pipeline(3, StageTimes{1.0, 2.0, 0.0});
  EXPECT_DOUBLE_EQ(pipeline_makespan(pipeline, 1, 0.25), 9.0 + 4 * 0.25);  // there and back
  EXPECT_DOUBLE_EQ(pipeline_makespan(std::vector<StageTimes>(1, StageTimes{1.0, 2.0, 3.0}), 4, 0.25), 24.0);
}

TEST(PipelineMakespan, NoMicrobatchTakesNoTime) {
  EXPECT_EQ(pipeline_makespan(std::vector<StageTimes>(2, StageTimes{1.0, 1.0, 1.0}), 0), 0.0);
}

}  // namespace
}  // namespace fcmnist::train
