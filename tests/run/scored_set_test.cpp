#include "run/scored_set.hpp"

#include <gtest/gtest.h>

namespace fcmnist::run {
namespace {

TEST(ScoredSet, IsCalledTestIfItIsAllOfTheTestSplit) {
  const config::RunConfig config;
  EXPECT_EQ(scored("accuracy", config), "test accuracy");
  EXPECT_EQ(split_mark(config), "");
}

TEST(ScoredSet, NamesTheTrainSplit) {
  config::RunConfig config;
  config.eval_input.split = data::Split::train;
  EXPECT_EQ(scored("loss", config), "loss on the train split");
  EXPECT_EQ(split_mark(config), " Split=train");
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

}  // namespace
}  // namespace fcmnist::run
