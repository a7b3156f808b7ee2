#include "train/verdict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace fcmnist::train {
namespace {

TEST(Divergence, TheHintNamesTheLearningRateIfItIsKnown) {
  EXPECT_EQ(diverged_error("step 7: the loss is nan").code(), ExitCode::diverged);
  EXPECT_STREQ(diverged_error("step 7: the loss is nan").what(),
               "step 7: the loss is nan\n  HINT: lower optimizer.learning_rate or set "
               "optimizer.max_gradient_norm; the last checkpoint is kept");
  EXPECT_THAT(diverged_error("step 7", 0.25).what(),
              testing::HasSubstr("lower optimizer.learning_rate (now 0.25) or set"));
}

TEST(Divergence, TheHintNamesALossScaleThatMayBeTooLarge) {
  EXPECT_THAT(
      diverged_error("step 7", 0.25, 1024.0).what(),
      testing::HasSubstr("HINT: the loss scale is 1024: lower optimizer.loss_scaling_factor (a dynamic "
                         "one: optimizer.min_loss_scale); or lower optimizer.learning_rate"));
  EXPECT_STREQ(diverged_error("step 7", 0.25, 1.0).what(), diverged_error("step 7", 0.25).what());
}

class CheckFinite : public testing::Test {
 protected:
  CheckFinite() {
    layout_.add("fc_layers.0.weight", 3, 5);
    layout_.add("fc_layers.0.bias", 1, 3);
  }
  Layout layout_;
};

TEST_F(CheckFinite, LooksAtEveryWeight) {
  for (const Slot& slot : layout_.slots()) {
    for (const std::size_t i : {std::size_t{0}, slot.count() - 1}) {
      for (const float bad :
           {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        const Arena<float> weights(layout_);
        weights.view().all()[slot.offset + i] = bad;
        try {
          check_finite(weights.view(), 12);
          ADD_FAILURE() << slot.name << " " << i;
        } catch (const DivergedError& error) {
          EXPECT_THAT(error.what(), testing::StartsWith("step 12: " + slot.name + " is not finite: "));
        }
      }
    }
  }
}

TEST_F(CheckFinite, GapsHoldNothing) {
  const Arena<float> weights(layout_);
  weights.view().all()[15] = std::numeric_limits<float>::quiet_NaN();  // between the slots
  EXPECT_NO_THROW(check_finite(weights.view(), 12));
}

}  // namespace
}  // namespace fcmnist::train
