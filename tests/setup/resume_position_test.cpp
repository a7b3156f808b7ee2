#include "setup/resume_position.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "store/support.hpp"

namespace fcmnist::setup {
namespace {

using testing::HasSubstr;

// 10 samples in steps of 4: the third step of each epoch has 2.
const data::EpochPlan plan(10, 4, false);

store::TrainState after(std::int64_t step) { return position_after(step, plan, 7, "labels"); }

TEST(ResumePosition, BeforeTheFirstStepNothingIsDone) {
  const store::TrainState state = after(0);
  EXPECT_EQ(state.step, 0);
  EXPECT_EQ(state.epoch, 0);
  EXPECT_EQ(state.step_in_epoch, 0);
  EXPECT_EQ(state.samples_seen, 0);
  EXPECT_EQ(state.seed, 7U);
  EXPECT_EQ(state.labels_sha256, "labels");
}

TEST(ResumePosition, CountsSamplesWithinAnEpoch) {
  const store::TrainState state = after(2);
  EXPECT_EQ(state.epoch, 0);
  EXPECT_EQ(state.step_in_epoch, 2);
  EXPECT_EQ(state.samples_seen, 8);
}

TEST(ResumePosition, TheLastStepOfAnEpochLeadsToTheNextEpoch) {
  const store::TrainState state = after(3);
  EXPECT_EQ(state.epoch, 1);
  EXPECT_EQ(state.step_in_epoch, 0);
  EXPECT_EQ(state.samples_seen, 10) << "the short step counts what it had";
  EXPECT_EQ(after(7).samples_seen, 24);
}

TEST(ResumePosition, TheSamePlaceMayGoOn) {
  EXPECT_NO_THROW(check_same_position(after(5), after(5), "data", 2));
}

TEST(ResumePosition, OtherLabelsAreAnotherDataSet) {
  const auto saved = position_after(5, plan, 7, "other labels");
  const auto said =
      store::message_of<DataError>([&] { check_same_position(saved, after(5), "data/mnist", 2); });
  EXPECT_THAT(said, HasSubstr("data/mnist: not the training set that the run began with"));
}

TEST(ResumePosition, AnotherGlobalBatchIsAnotherPlace) {
  const auto saved = position_after(5, data::EpochPlan(10, 2, false), 7, "labels");
  const auto said = store::message_of<UsageError>([&] { check_same_position(saved, after(5), "data", 3); });
  EXPECT_THAT(said,
              HasSubstr("step 5 was epoch 1, step 0 in it, after 10 samples; with 3 replicas it is epoch "
                        "1, step 2 in it, after 18 samples"));
}

TEST(ResumePosition, AnotherSeedIsAnotherPlace) {
  const auto saved = position_after(5, plan, 8, "labels");
  EXPECT_THROW(check_same_position(saved, after(5), "data", 2), UsageError);
}

}  // namespace
}  // namespace fcmnist::setup
