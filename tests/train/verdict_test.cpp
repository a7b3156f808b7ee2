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
               "optimizer.max_gradient_norm; checkpoints of before are kept");
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

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Whether the verdict is that training has diverged, found by all ranks.
template <class Judgement>
bool finds_divergence(Judgement judgement) {
  try {
    judgement();
  } catch (const Error& error) {
    return error.code() == ExitCode::diverged && error.agreed();
  }
  return false;
}

TEST(Judge, FiniteNumbersUpdate) {
  Judge judge{config::RunConfig()};
  EXPECT_EQ(judge.judge_loss(1, 2.3, 0.1), Verdict::update);
  EXPECT_EQ(judge.judge_gradient(1, 0.5, 0.1), Verdict::update);
}

TEST(Judge, ANumberThatIsNotFiniteEndsTraining) {
  Judge judge{config::RunConfig()};
  EXPECT_TRUE(finds_divergence([&] { judge.judge_loss(1, nan, 0.1); }));
  EXPECT_TRUE(
      finds_divergence([&] { judge.judge_gradient(1, std::numeric_limits<double>::infinity(), 0.1); }));
}

TEST(Judge, SkipsWhenAskedToButNotForEver) {
  config::RunConfig config;
  config.run.nan_policy = config::NanPolicy::skip;
  Judge judge(config);
  for (std::int64_t step = 1; step < Judge::most_skipped_in_a_row; ++step) {
    const bool by_loss = step % 2 == 0;
    EXPECT_EQ(by_loss ? judge.judge_loss(step, nan, 0.1) : judge.judge_gradient(step, nan, 0.1),
              Verdict::skip);
    EXPECT_EQ(judge.state().skipped_in_a_row, step);
  }
  Judge forgiven(config);
  forgiven.set_state(judge.state());
  EXPECT_TRUE(finds_divergence([&] { judge.judge_loss(100, nan, 0.1); }));
  EXPECT_EQ(forgiven.judge_gradient(100, 1.0, 0.1), Verdict::update);
  EXPECT_EQ(forgiven.state().skipped_in_a_row, 0);
}

TEST(Judge, AnOverflowLowersADynamicLossScaleUntilThereIsNoSmallerOne) {
  config::RunConfig config;
  config.model.precision = model::Precision::float16;
  config.optimizer.loss_scale.factor = optim::LossScaleOptions::dynamic;
  config.optimizer.loss_scale.initial = 4.0;
  config.optimizer.loss_scale.min = 1.0;
  Judge judge(config);
  EXPECT_EQ(judge.judge_gradient(1, nan, 0.1), Verdict::smaller_loss_scale);
  EXPECT_EQ(judge.judge_gradient(2, nan, 0.1), Verdict::smaller_loss_scale);
  EXPECT_EQ(judge.loss_scale(), 1.0);
  EXPECT_EQ(judge.state().skipped_in_a_row, 0);
  EXPECT_TRUE(finds_divergence([&] { judge.judge_gradient(3, nan, 0.1); }));
}

TEST(Judge, Float32HasNoLossScale) {
  config::RunConfig config;
  config.optimizer.loss_scale.factor = 1024.0;
  EXPECT_EQ(Judge(config).loss_scale(), 1.0);
  config.model.precision = model::Precision::bfloat16;
  EXPECT_EQ(Judge(config).loss_scale(), 1024.0);
}

TEST(NeedsNormFirst, WhereAStepMayBeChangedOrLeftOut) {
  EXPECT_FALSE(needs_norm_first({}));
  config::RunConfig clips, skips, scales, reproduces, two_phases;
  clips.optimizer.max_gradient_norm = 1.0;
  skips.run.nan_policy = config::NanPolicy::skip;
  scales.optimizer.loss_scale.factor = optim::LossScaleOptions::dynamic;
  reproduces.run.reproducible = true;
  two_phases.optimizer.type = optim::OptimizerType::lamb;
  EXPECT_TRUE(needs_norm_first(clips));
  EXPECT_TRUE(needs_norm_first(skips));
  EXPECT_TRUE(needs_norm_first(reproduces));
  EXPECT_TRUE(needs_norm_first(two_phases));
  EXPECT_FALSE(needs_norm_first(scales)) << "float32 does not scale";
  scales.model.precision = model::Precision::float16;
  EXPECT_TRUE(needs_norm_first(scales));
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
