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
  const auto bias = random_numbers(19, 2);
  add_bias_relu({numbers.data(), 7, 19}, bias);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    EXPECT_EQ(numbers[i], std::max(before[i] + bias[i % 19], 0.0F));
}

TEST(AddBiasRelu, KeepsANaNSoThatTheLossFindsIt) {
  std::vector<float> x = {std::numeric_limits<float>::quiet_NaN(), -1.0F};
  const std::vector<float> bias = {0.0F, 0.0F};
  add_bias_relu({x.data(), 1, 2}, bias);
  EXPECT_TRUE(std::isnan(x[0]));
  EXPECT_EQ(x[1], 0.0F);
}

TEST(Dropout, DropsTheStatedShareAndKeepsTheExpectation) {
  const std::size_t rows = 200, cols = 301;
  for (const double probability : {0.1, 0.5, 0.9}) {
    std::vector<float> x(rows * cols, 1.0F);
    std::vector<std::uint32_t> ids(rows);
    for (std::size_t r = 0; r < rows; ++r) ids[r] = static_cast<std::uint32_t>(r * 7);
    dropout({x.data(), rows, cols}, ids, probability, {1, 2, 0});
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

// What makes the trained weights independent of how samples are dealt to ranks.
TEST(Dropout, DependsOnTheSampleAndNotOnItsRow) {
  const std::size_t cols = 37;
  std::vector<float> both(2 * cols, 1.0F), alone(cols, 1.0F), other_epoch(cols, 1.0F),
      other_layer(cols, 1.0F);
  const std::vector<std::uint32_t> ids = {11, 42};
  dropout({both.data(), 2, cols}, ids, 0.5, {1, 3, 0});
  dropout({alone.data(), 1, cols}, std::span(ids).subspan(1), 0.5, {1, 3, 0});
  dropout({other_epoch.data(), 1, cols}, std::span(ids).subspan(1), 0.5, {1, 4, 0});
  dropout({other_layer.data(), 1, cols}, std::span(ids).subspan(1), 0.5, {1, 3, 1});
  EXPECT_EQ(std::vector(both.begin() + cols, both.end()), alone);
  EXPECT_NE(std::vector(both.begin(), both.begin() + cols), alone);
  EXPECT_NE(other_epoch, alone);
  EXPECT_NE(other_layer, alone);
}

TEST(ReluDropoutBackward, LetsThroughWhatWasActive) {
  std::vector<float> d = {1.0F, 2.0F, 3.0F, -4.0F};
  const std::vector<float> activation = {0.0F, 0.5F, 0.0F, 2.0F};
  relu_dropout_backward({d.data(), 2, 2}, {activation.data(), 2, 2}, 2.0F);
  EXPECT_EQ(d, (std::vector<float>{0.0F, 4.0F, 0.0F, -8.0F}));
}

TEST(SumRows, WritesOrAdds) {
  const auto d = random_numbers(5 * 9, 4);
  std::vector<float> expected(9, 0.0F);
  for (std::size_t i = 0; i < d.size(); ++i) expected[i % 9] += d[i];
  std::vector<float> sum(9, 100.0F);
  sum_rows({d.data(), 5, 9}, sum, false);
  EXPECT_EQ(sum, expected);
  sum_rows({d.data(), 5, 9}, sum, true);
  for (std::size_t c = 0; c < 9; ++c) EXPECT_NEAR(sum[c], 2 * expected[c], 1e-5);
  sum_rows({d.data(), 0, 9}, sum, false);
  EXPECT_EQ(sum, std::vector<float>(9, 0.0F)) << "a microbatch without samples has a zero gradient";
}

}  // namespace
}  // namespace fcmnist::kernels
