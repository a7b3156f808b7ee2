#include "run/scored_set.hpp"

#include <gtest/gtest.h>

namespace fcmnist::run {
namespace {

TEST(ScoredSet, IsCalledTestIfItIsAllOfTheTestSplit) {
  const config::RunConfig config;
  EXPECT_EQ(scored("accuracy", config), "test accuracy");
  EXPECT_EQ(scored_marks(config), "");
}

TEST(ScoredSet, NamesTheTrainSplit) {
  config::RunConfig config;
  config.eval_input.split = data::Split::train;
  EXPECT_EQ(scored("loss", config), "loss on the train split");
  EXPECT_EQ(scored_marks(config), " Split=train");
}

TEST(ScoredSet, NamesThePartThatIsScored) {
  config::RunConfig config;
  config.run.eval_steps = 1;
  EXPECT_EQ(scored("accuracy", config), "accuracy on the first batch of the test split");
  config.run.eval_steps = 2;
  EXPECT_EQ(scored("accuracy", config), "accuracy on the first 2 batches of the test split");
}

TEST(ScoredSet, SaysThatTheTestSplitWasTrainedOn) {
  config::RunConfig config;
  config.train_input.split = data::Split::test;
  EXPECT_EQ(scored("accuracy", config), "accuracy on the test split, which it was trained on,");
  config.eval_input.data_dir = "another/set";
  EXPECT_EQ(scored("accuracy", config), "test accuracy");
}

TEST(ScoredSet, SaysHowManyShiftsWereAveraged) {
  config::RunConfig config;
  config.eval_input.average_shifts = 1;
  EXPECT_EQ(scored("accuracy", config), "test accuracy, averaged over 9 shifts,");
  EXPECT_EQ(scored_marks(config), " Shifts=9");
  config.train_input.split = data::Split::test;
  config.eval_input.average_shifts = 2;
  EXPECT_EQ(scored("accuracy", config),
            "accuracy on the test split, which it was trained on, averaged over 25 shifts,");
  config.eval_input.split = data::Split::train;
  EXPECT_EQ(scored("loss", config), "loss on the train split, averaged over 25 shifts,");
  EXPECT_EQ(scored_marks(config), " Split=train Shifts=25");
}

}  // namespace
}  // namespace fcmnist::run
