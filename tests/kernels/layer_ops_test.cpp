#include "kernels/layer_ops.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/random_matrix.hpp"

namespace fcmnist::kernels {
namespace {

using test::random_numbers;

TEST(AddBiasRelu, AgreesWithTheDefinition) {
  auto numbers = random_numbers(7 * 19, 1);
  const auto before = numbers;
  const auto bias = random_numbers(7, 2);
  add_bias_relu({numbers.data(), 7, 19}, bias);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    EXPECT_EQ(numbers[i], std::max(before[i] + bias[i / 19], 0.0F));
}

TEST(AddBiasRelu, KeepsANaNSoThatTheLossFindsIt) {
  std::vector<float> x = {std::numeric_limits<float>::quiet_NaN(), -1.0F};
  const std::vector<float> bias = {0.0F, 0.0F};
  add_bias_relu({x.data(), 2, 1}, bias);
  EXPECT_TRUE(std::isnan(x[0]));
  EXPECT_EQ(x[1], 0.0F);
}

TEST(Dropout, DropsTheStatedShareAndKeepsTheExpectation) {
  const std::size_t units = 301, samples = 200;
  for (const double probability : {0.1, 0.5, 0.9}) {
    std::vector<float> x(units * samples, 1.0F);
    std::vector<std::uint32_t> ids(samples);
    for (std::size_t s = 0; s < samples; ++s) ids[s] = static_cast<std::uint32_t>(s * 7);
    dropout({x.data(), units, samples}, ids, probability, {1, 2, 0});
    double zeros = 0, sum = 0;
    for (const float v : x) {
      zeros += v == 0.0F;
      sum += v;
    }
    const double n = static_cast<double>(x.size());
    EXPECT_NEAR(zeros / n, probability, 4 * std::sqrt(probability * (1 - probability) / n) + 0x1p-16);
    EXPECT_NEAR(sum / n, 1.0, 4 * std::sqrt(probability / (1 - probability) / n) + 1e-3);
  }
}

/// Which units of one sample stay, computed alone.
std::vector<float> kept_of(std::uint32_t id, std::size_t units, DropoutKey key) {
  std::vector<float> x(units, 1.0F);
  dropout({x.data(), units, 1}, std::span(&id, 1), 0.5, key);
  return x;
}

// This makes the trained weights independent of how samples are dealt to ranks.
TEST(Dropout, DependsOnTheSampleAndNotOnItsPlace) {
  const std::size_t units = 300, samples = 37;  // more than one group of units, no multiple of the lanes
  std::vector<std::uint32_t> ids(samples);
  for (std::size_t s = 0; s < samples; ++s) ids[s] = static_cast<std::uint32_t>(1000 - 3 * s);
  const std::size_t stride = samples + 5;
  std::vector<float> x(units * stride, 1.0F);
  dropout({x.data(), units, samples, stride}, ids, 0.5, {1, 3, 0});
  for (std::size_t s = 0; s < samples; ++s) {
    const auto alone = kept_of(ids[s], units, {1, 3, 0});
    for (std::size_t u = 0; u < units; ++u) ASSERT_EQ(x[u * stride + s], alone[u]) << u << " " << s;
  }
  for (std::size_t gap = samples; gap < stride; ++gap) EXPECT_EQ(x[gap], 1.0F) << "not a sample";
  const auto one = kept_of(7, units, {1, 3, 0});
  EXPECT_NE(one, kept_of(8, units, {1, 3, 0}));
  EXPECT_NE(one, kept_of(7, units, {2, 3, 0}));
  EXPECT_NE(one, kept_of(7, units, {1, 4, 0}));
  EXPECT_NE(one, kept_of(7, units, {1, 3, 1}));
}

template <class T>
void expect_the_same_by_sample(std::size_t units, std::size_t samples) {
  const auto numbers = random_numbers(units * samples, 9);
  const std::size_t stride = units + 3;
  std::vector<T> by_unit(units * samples), by_sample(samples * stride, T(7.0F));
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t u = 0; u < units; ++u)
      by_unit[u * samples + s] = by_sample[s * stride + u] = T(numbers[s * units + u]);
  }
  std::vector<std::uint32_t> ids(samples);
  for (std::size_t s = 0; s < samples; ++s) ids[s] = static_cast<std::uint32_t>(50 + 11 * s);
  const DropoutKey key{1ULL << 40 | 3, 5, 255};
  dropout(MatrixView<T>(by_unit.data(), units, samples), ids, 0.3, key);
  dropout_by_sample(MatrixView<T>(by_sample.data(), samples, units, stride), ids, 0.3, key);
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t u = 0; u < units; ++u) {
      ASSERT_EQ(static_cast<float>(by_sample[s * stride + u]), static_cast<float>(by_unit[u * samples + s]))
          << u << " of " << units << ", " << s << " of " << samples;
    }
    for (std::size_t gap = units; gap < stride; ++gap)
      EXPECT_EQ(static_cast<float>(by_sample[s * stride + gap]), 7.0F) << "not a unit";
  }
}

TEST(DropoutBySample, DropsWhatDropoutDrops) {
  for (const std::size_t units : {1U, 15U, 16U, 130U, 300U, 784U}) {
    for (const std::size_t samples : {0U, 1U, 8U, 19U}) {
      expect_the_same_by_sample<float>(units, samples);
      expect_the_same_by_sample<BFloat16>(units, samples);
      expect_the_same_by_sample<Float16>(units, samples);
    }
  }
}

TEST(ReluDropoutBackward, LetsThroughWhatWasActive) {
  std::vector<float> d = {1.0F, 2.0F, 3.0F, -4.0F};
  const std::vector<float> activation = {0.0F, 0.5F, 0.0F, 2.0F};
  relu_dropout_backward({d.data(), 2, 2}, {activation.data(), 2, 2}, 2.0F);
  EXPECT_EQ(d, (std::vector<float>{0.0F, 4.0F, 0.0F, -8.0F}));
}

TEST(SumSamples, WritesOrAdds) {
  for (const std::size_t samples : {1U, 15U, 16U, 37U}) {
    const std::size_t units = 9;
    const auto d = random_numbers(units * samples, 4);
    std::vector<double> expected(units, 0.0);
    for (std::size_t i = 0; i < d.size(); ++i) expected[i / samples] += d[i];
    std::vector<float> sum(units, 100.0F);
    sum_samples({d.data(), units, samples}, sum, false);
    for (std::size_t u = 0; u < units; ++u) EXPECT_NEAR(sum[u], expected[u], 1e-5);
    sum_samples({d.data(), units, samples}, sum, true);
    for (std::size_t u = 0; u < units; ++u) EXPECT_NEAR(sum[u], 2 * expected[u], 1e-5);
    sum_samples({d.data(), units, 0, samples}, sum, false);
    EXPECT_EQ(sum, std::vector<float>(units, 0.0F)) << "a microbatch without samples has a zero gradient";
  }
}

}  // namespace
}  // namespace fcmnist::kernels
