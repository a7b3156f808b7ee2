#include "optim/loss_scale.hpp"

#include <gtest/gtest.h>

namespace fcmnist::optim {
namespace {

LossScaleOptions dynamic() {
  LossScaleOptions options;
  options.factor = LossScaleOptions::dynamic;
  options.initial = 4.0;
  options.steps_per_increase = 3;
  options.min = 1.0;
  options.max = 8.0;
  return options;
}

TEST(LossScale, AStaticOneNeverChanges) {
  LossScaleOptions options;
  options.factor = 100.0;
  LossScale scale(options);
  EXPECT_FALSE(scale.is_dynamic());
  for (int i = 0; i < 5000; ++i) scale.good_step();
  EXPECT_FALSE(scale.overflow());
  scale.set_state({2.0, 1});
  EXPECT_EQ(scale.value(), 100.0);
  LossScale begun_later(dynamic());
  begun_later.set_state(scale.state());
  EXPECT_EQ(begun_later.value(), dynamic().initial);
}

TEST(LossScale, ADynamicOneDoublesAfterGoodStepsUpToTheLimit) {
  LossScale scale(dynamic());
  EXPECT_TRUE(scale.is_dynamic());
  for (const double expected : {4.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0}) {
    scale.good_step();
    EXPECT_EQ(scale.value(), expected);
  }
}

TEST(LossScale, HalvesOnOverflowDownToTheLimitAndCountsAnew) {
  LossScale scale(dynamic());
  scale.good_step();
  scale.good_step();
  EXPECT_TRUE(scale.overflow());
  EXPECT_EQ(scale.value(), 2.0);
  scale.good_step();
  scale.good_step();
  EXPECT_EQ(scale.value(), 2.0) << "steps before the overflow do not count";
  EXPECT_TRUE(scale.overflow());
  EXPECT_EQ(scale.value(), 1.0);
  EXPECT_FALSE(scale.overflow()) << "nothing smaller is left to try";
  EXPECT_EQ(scale.value(), 1.0);
}

TEST(LossScale, GoesOnFromAState) {
  LossScale first(dynamic()), second(dynamic());
  first.good_step();
  first.overflow();
  first.good_step();
  first.good_step();
  second.set_state(first.state());
  first.good_step();
  second.good_step();
  EXPECT_EQ(first.value(), 4.0);
  EXPECT_EQ(second.value(), 4.0);
  second.set_state({1024.0, 0});
  EXPECT_EQ(second.value(), 8.0) << "within the limits of this run";
  second.set_state({});
  EXPECT_EQ(second.value(), 8.0) << "nothing is known";
}

}  // namespace
}  // namespace fcmnist::optim
