#include "kernels/softmax_loss.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/random_half.hpp"

namespace fcmnist::kernels {
namespace {

using test::random_numbers;

double naive_loss(const std::vector<float>& logits, std::size_t classes,
                  const std::vector<std::uint8_t>& labels) {
  double loss = 0.0;
  for (std::size_t s = 0; s < labels.size(); ++s) {
    double sum = 0.0;
    for (std::size_t c = 0; c < classes; ++c)
      sum += std::exp(static_cast<double>(logits[c * labels.size() + s]));
    loss += std::log(sum) - logits[labels[s] * labels.size() + s];
  }
  return loss;
}

/// `gradient` is scale times the slopes of `loss` at these logits: central differences in double.
template <class Loss>
void expect_slopes(const std::vector<float>& gradient, const std::vector<float>& logits, double scale,
                   const Loss& loss) {
  for (std::size_t i = 0; i < logits.size(); ++i) {
    auto up = logits, down = logits;
    up[i] += 0.01F;
    down[i] -= 0.01F;
    EXPECT_NEAR(gradient[i], scale * (loss(up) - loss(down)) / (up[i] - down[i]), 1e-5) << i;
  }
}

TEST(SoftmaxCrossEntropy, LossAndGradientAgreeWithTheDefinition) {
  const std::size_t samples = 6, classes = 10;
  const auto logits = random_numbers(samples * classes, 1);
  const std::vector<std::uint8_t> labels = {0, 9, 3, 3, 7, 1};
  auto gradient = logits;
  const float scale = 0.25F;
  const LossSums sums = softmax_cross_entropy_gradient({gradient.data(), classes, samples}, {labels}, scale);
  EXPECT_NEAR(sums.loss, naive_loss(logits, classes, labels), 1e-5);
  expect_slopes(gradient, logits, scale,
                [&](const std::vector<float>& x) { return naive_loss(x, classes, labels); });
}

TEST(SoftmaxCrossEntropy, TargetsOfTwoLabelsAreAMixture) {
  const std::size_t samples = 4, classes = 4;
  const auto logits = random_numbers(samples * classes, 6);
  const std::vector<std::uint8_t> labels = {0, 3, 1, 2}, partners = {2, 3, 0, 1};
  const std::vector<float> shares = {0.75F, 0.25F, 1.0F, 0.0F};
  const double smoothing = 0.1;
  const auto loss = [&](const std::vector<float>& x) {
    double sum = 0.0;
    for (std::size_t s = 0; s < samples; ++s) {
      std::vector<float> one(classes);
      for (std::size_t c = 0; c < classes; ++c) one[c] = x[c * samples + s];
      const double target = shares[s] * naive_loss(one, classes, {labels[s]}) +
                            (1.0 - shares[s]) * naive_loss(one, classes, {partners[s]});
      sum += (1.0 - smoothing) * target;
      for (std::uint8_t c = 0; c < classes; ++c) {
        sum += smoothing / static_cast<double>(classes) * naive_loss(one, classes, {c});
      }
    }
    return sum;
  };
  auto gradient = logits;
  const LossSums sums = softmax_cross_entropy_gradient(
      {gradient.data(), classes, samples},
      {.labels = labels, .partners = partners, .shares = shares, .smoothing = smoothing}, 0.5F);
  EXPECT_NEAR(sums.loss, loss(logits), 1e-5);
  expect_slopes(gradient, logits, 0.5, loss);
}

TEST(SoftmaxCrossEntropy, OfTwoLabelsTheOneWithTheLargerShareIsCorrect) {
  std::vector<float> logits = {2.0F, 2.0F, 0.0F, 0.0F};  // class 0 is predicted of both samples
  const std::vector<std::uint8_t> labels = {0, 0}, partners = {1, 1};
  const std::vector<float> shares = {0.6F, 0.4F};
  const Targets targets{.labels = labels, .partners = partners, .shares = shares};
  EXPECT_EQ(softmax_cross_entropy_gradient({logits.data(), 2, 2}, targets, 1.0F).correct, 1);
}

TEST(SoftmaxCrossEntropy, SmoothedLabelsAreAMixtureOfAllClasses) {
  const std::size_t samples = 3, classes = 4;
  const auto logits = random_numbers(samples * classes, 5);
  const std::vector<std::uint8_t> labels = {0, 3, 1};
  const double smoothing = 0.2;
  const auto loss = [&](const std::vector<float>& x) {
    double sum = (1.0 - smoothing) * naive_loss(x, classes, labels);
    for (std::uint8_t c = 0; c < classes; ++c) {
      sum += smoothing / static_cast<double>(classes) *
             naive_loss(x, classes, std::vector<std::uint8_t>(samples, c));
    }
    return sum;
  };
  auto gradient = logits;
  const LossSums sums = softmax_cross_entropy_gradient({gradient.data(), classes, samples},
                                                       {.labels = labels, .smoothing = smoothing}, 0.5F);
  EXPECT_NEAR(sums.loss, loss(logits), 1e-5);
  expect_slopes(gradient, logits, 0.5, loss);
}

TEST(SoftmaxCrossEntropy, EvaluationGivesTheSameSumsAndThePredictions) {
  const std::size_t samples = 50, classes = 10;
  auto logits = random_numbers(samples * classes, 2);
  std::vector<std::uint8_t> labels(samples), predicted(samples);
  for (std::size_t s = 0; s < samples; ++s) labels[s] = static_cast<std::uint8_t>(s % classes);
  const LossSums eval = softmax_cross_entropy({logits.data(), classes, samples}, labels, predicted);
  long correct = 0;
  for (std::size_t s = 0; s < samples; ++s) correct += predicted[s] == labels[s];
  EXPECT_EQ(eval.correct, correct);
  const LossSums train = softmax_cross_entropy_gradient({logits.data(), classes, samples}, {labels}, 1.0F);
  EXPECT_EQ(train.loss, eval.loss);
  EXPECT_EQ(train.correct, eval.correct);
}

TEST(SoftmaxCrossEntropy, LargeLogitsDoNotOverflow) {
  std::vector<float> logits = {1000.0F, -1000.0F, 0.0F, 1000.0F};
  const std::vector<std::uint8_t> labels = {0, 0};
  const LossSums sums = softmax_cross_entropy_gradient({logits.data(), 2, 2}, {labels}, 1.0F);
  EXPECT_NEAR(sums.loss, 2000.0, 1e-3);
  EXPECT_EQ(sums.correct, 1);
  for (const float g : logits) EXPECT_TRUE(std::isfinite(g));
}

TEST(SoftmaxCrossEntropy, NonFiniteLogitsGiveANonFiniteLoss) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (std::size_t place : {0U, 1U}) {
      std::vector<float> logits = {0.0F, 0.0F};
      logits[place] = bad;
      const std::vector<std::uint8_t> labels = {0};
      std::vector<std::uint8_t> predicted(1);
      EXPECT_FALSE(std::isfinite(softmax_cross_entropy({logits.data(), 2, 1}, labels, predicted).loss));
      EXPECT_FALSE(std::isfinite(softmax_cross_entropy_gradient({logits.data(), 2, 1}, {labels}, 1.0F).loss));
    }
  }
}

TEST(SoftmaxCrossEntropy, EqualLogitsPredictTheLowestClass) {
  const std::vector<float> logits(10, 0.5F);
  const std::vector<std::uint8_t> labels = {0};
  std::vector<std::uint8_t> predicted(1);
  EXPECT_EQ(softmax_cross_entropy({logits.data(), 10, 1}, labels, predicted).correct, 1);
  EXPECT_EQ(predicted[0], 0);
}

TEST(MeanProbabilities, AreThoseOfTheDefinition) {
  const std::size_t samples = 7, classes = 5, versions = 3;
  std::vector<double> sums(samples * classes), expected(samples * classes);
  for (unsigned v = 0; v < versions; ++v) {
    const auto logits = random_numbers(samples * classes, 30 + v);
    add_probabilities({logits.data(), classes, samples}, {sums.data(), classes, samples});
    for (std::size_t s = 0; s < samples; ++s) {
      double sum = 0.0;
      for (std::size_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(logits[c * samples + s]));
      for (std::size_t c = 0; c < classes; ++c)
        expected[c * samples + s] += std::exp(static_cast<double>(logits[c * samples + s])) / sum / versions;
    }
  }
  std::vector<float> mean(samples * classes);
  log_mean_probabilities({sums.data(), classes, samples}, versions, {mean.data(), classes, samples});
  const std::vector<std::uint8_t> labels = {0, 1, 2, 3, 4, 0, 1};
  double loss = 0.0;
  for (std::size_t i = 0; i < mean.size(); ++i) EXPECT_NEAR(mean[i], std::log(expected[i]), 1e-6);
  for (std::size_t s = 0; s < samples; ++s) loss -= std::log(expected[labels[s] * samples + s]);
  std::vector<std::uint8_t> predicted(samples);
  EXPECT_NEAR(softmax_cross_entropy({mean.data(), classes, samples}, labels, predicted).loss, loss, 1e-5);
}

TEST(MeanProbabilities, OfAlmostNothingAreFinite) {
  const std::vector<float> logits = {2000.0F, -2000.0F};
  std::vector<double> sums(2);
  add_probabilities({logits.data(), 2, 1}, {sums.data(), 2, 1});
  std::vector<float> mean(2);
  log_mean_probabilities({sums.data(), 2, 1}, 1, {mean.data(), 2, 1});
  EXPECT_EQ(mean[0], 0.0F);
  EXPECT_NEAR(mean[1], -708.4, 0.1);
}

TEST(MeanProbabilities, OneNonFiniteLogitMakesTheLossOfItsSampleNonFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    std::vector<float> logits = {0.0F, 1.0F, bad, 2.0F};  // of the first of two samples
    std::vector<double> sums(4);
    for (int version = 0; version < 2; ++version) {
      add_probabilities({logits.data(), 2, 2}, {sums.data(), 2, 2});
      logits[2] = 0.0F;
    }
    std::vector<float> mean(4);
    log_mean_probabilities({sums.data(), 2, 2}, 2, {mean.data(), 2, 2});
    EXPECT_FALSE(std::isfinite(mean[0]) || std::isfinite(mean[2]));
    EXPECT_TRUE(std::isfinite(mean[1]) && std::isfinite(mean[3]));
  }
}

}  // namespace
}  // namespace fcmnist::kernels
