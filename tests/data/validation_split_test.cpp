#include "data/validation_split.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.hpp"
#include "data/epoch_order.hpp"

namespace fcmnist::data {
namespace {

using Ids = std::vector<std::uint32_t>;

TEST(ValidationSplit, EachSampleIsInOnePartInTheOrderOfTheFile) {
  const ValidationSplit split = split_off_validation(100, 30, 1);
  EXPECT_EQ(split.training.size(), 70U);
  EXPECT_EQ(split.validation.size(), 30U);
  EXPECT_TRUE(std::ranges::is_sorted(split.training));
  EXPECT_TRUE(std::ranges::is_sorted(split.validation));
  Ids all = split.training;
  all.insert(all.end(), split.validation.begin(), split.validation.end());
  std::ranges::sort(all);
  EXPECT_EQ(all, all_ids(100));
}

TEST(ValidationSplit, DependsOnTheSeed) {
  EXPECT_EQ(split_off_validation(100, 30, 1).validation, split_off_validation(100, 30, 1).validation);
  EXPECT_NE(split_off_validation(100, 30, 1).validation, split_off_validation(100, 30, 2).validation);
}

// A resumed run must hold out what the interrupted one has held out, also with a later build. The numbers are
// those of scripts/sample_order.py: held_out(10, 4, 1) and held_out(10, 4, 2).
TEST(ValidationSplit, IsTheOneOfSampleOrder) {
  EXPECT_EQ(split_off_validation(10, 4, 1).validation, (Ids{2, 3, 8, 9}));
  EXPECT_EQ(split_off_validation(10, 4, 2).validation, (Ids{0, 1, 3, 6}));
}

TEST(ValidationSplit, NothingIsHeldOutUnlessAskedFor) {
  const ValidationSplit split = split_off_validation(5, 0, 1);
  EXPECT_EQ(split.training, all_ids(5));
  EXPECT_TRUE(split.validation.empty());
}

TEST(ValidationSplit, LeavesSomethingToTrainOn) {
  InputOptions input;
  input.validation_size = 10;
  EXPECT_EQ(training_samples(input, 11), 1U);
  try {
    training_samples(input, 10);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("train_input.validation_size: 10 of the 10 training samples"));
  }
}

}  // namespace
}  // namespace fcmnist::data
