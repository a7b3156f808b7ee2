#include "model/initializer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace fcmnist::model {
namespace {

struct Drawn {
  std::vector<float> weight, bias;
};

Drawn draw(Initializer initializer, std::size_t rows, std::size_t cols, std::uint64_t seed = 1,
           std::size_t layer = 0) {
  Drawn drawn{std::vector<float>(rows * cols, 99.0F), std::vector<float>(rows, 99.0F)};
  initialize_layer(initializer, seed, layer, {drawn.weight.data(), rows, cols}, Order::as_in_files,
                   drawn.bias);
  return drawn;
}

double deviation(const std::vector<float>& x) {
  double sum = 0, square = 0;
  for (const float v : x) {
    sum += v;
    square += static_cast<double>(v) * v;
  }
  const auto n = static_cast<double>(x.size());
  return std::sqrt(square / n - sum / n * (sum / n));
}

TEST(Initializer, DrawsTheSameNumbersInEitherOrder) {
  constexpr std::size_t outputs = 7, inputs = 12;
  for (const Initializer initializer : {Initializer::he_normal, Initializer::pytorch}) {
    const Drawn drawn = draw(initializer, outputs, inputs);
    std::vector<float> transposed(inputs * outputs), bias(outputs);
    initialize_layer(initializer, 1, 0, {transposed.data(), inputs, outputs}, Order::transposed, bias);
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs; ++i)
        EXPECT_EQ(transposed[i * outputs + o], drawn.weight[o * inputs + i]);
    }
    EXPECT_EQ(bias, drawn.bias);
  }
}

TEST(Initializer, HeNormalHasVarianceTwoOverFanIn) {
  const Drawn drawn = draw(Initializer::he_normal, 300, 500);
  EXPECT_NEAR(deviation(drawn.weight), std::sqrt(2.0 / 500), 0.02 * std::sqrt(2.0 / 500));
  EXPECT_EQ(drawn.bias, std::vector<float>(300, 0.0F));
}

TEST(Initializer, PytorchIsUniformInOneOverRootOfFanInForWeightsAndBiases) {
  const Drawn drawn = draw(Initializer::pytorch, 300, 400);
  for (const auto* part : {&drawn.weight, &drawn.bias}) {
    const auto [low, high] = std::minmax_element(part->begin(), part->end());
    EXPECT_GE(*low, -0.05F);
    EXPECT_LE(*high, 0.05F);
    EXPECT_LT(*low, -0.048F);
    EXPECT_GT(*high, 0.048F);
    EXPECT_NEAR(deviation(*part), 0.05 / std::sqrt(3.0), 0.003);
  }
}

TEST(Initializer, XavierUniformUsesBothFans) {
  const Drawn drawn = draw(Initializer::xavier_uniform, 200, 400);
  const double limit = std::sqrt(6.0 / 600);
  EXPECT_NEAR(*std::max_element(drawn.weight.begin(), drawn.weight.end()), limit, 0.01 * limit);
  EXPECT_EQ(drawn.bias, std::vector<float>(200, 0.0F));
}

TEST(Initializer, ZerosAreZeros) {
  EXPECT_EQ(draw(Initializer::zeros, 3, 4).weight, std::vector<float>(12, 0.0F));
}

TEST(Initializer, SeedAndLayerChooseTheNumbers) {
  const auto first = draw(Initializer::he_normal, 4, 4).weight;
  EXPECT_EQ(first, draw(Initializer::he_normal, 4, 4).weight);
  EXPECT_NE(first, draw(Initializer::he_normal, 4, 4, 2).weight);
  EXPECT_NE(first, draw(Initializer::he_normal, 4, 4, 1, 1).weight);
}

}  // namespace
}  // namespace fcmnist::model
