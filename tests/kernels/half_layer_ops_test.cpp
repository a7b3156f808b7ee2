#include "kernels/half_layer_ops.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/layer_ops.hpp"
#include "support/random_half.hpp"

namespace fcmnist::kernels {
namespace {

using test::random_halves;
using test::random_numbers;
using test::to_half;

template <class Half>
class HalfLayerOps : public testing::Test {};
using Formats = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(HalfLayerOps, Formats);

// There are more samples than are computed at a time, and their number is no multiple of a vector's length.
constexpr std::size_t units = 5, stride = 1100;
constexpr std::size_t sample_counts[] = {1, 19, 1037};

TYPED_TEST(HalfLayerOps, BiasAndReluAreRoundedOnce) {
  const auto x = random_numbers(units * stride, 1), bias = random_numbers(units, 2);
  for (const std::size_t samples : sample_counts) {
    for (const bool with_bias : {true, false}) {
      std::vector<TypeParam> out(units * stride, TypeParam(-7.0F));
      bias_relu({x.data(), units, samples, stride}, with_bias ? bias : std::vector<float>(),
                MatrixView<TypeParam>(out.data(), units, samples, stride));
      for (std::size_t i = 0; i < out.size(); ++i) {
        const float z = x[i] + (with_bias ? bias[i / stride] : 0.0F);
        const float expected = i % stride < samples ? std::max(z, 0.0F) : -7.0F;
        ASSERT_EQ(out[i].bits, TypeParam(expected).bits) << i;
      }
    }
  }
}

TYPED_TEST(HalfLayerOps, ReluKeepsANaNSoThatTheLossFindsIt) {
  const std::vector<float> x = {std::numeric_limits<float>::quiet_NaN(), -1.0F};
  std::vector<TypeParam> out(2);
  bias_relu({x.data(), 1, 2}, {}, MatrixView<TypeParam>(out.data(), 1, 2));
  EXPECT_TRUE(std::isnan(static_cast<float>(out[0])));
  EXPECT_EQ(static_cast<float>(out[1]), 0.0F);
}

TYPED_TEST(HalfLayerOps, BackwardLetsThroughWhatWasActive) {
  const auto before = random_halves<TypeParam>(units * stride, 3);
  auto activation = random_halves<TypeParam>(units * stride, 4);
  activation[0] = TypeParam(0.0F);
  activation[1] = TypeParam(-0.0F);
  for (const std::size_t samples : sample_counts) {
    for (const float scale : {1.0F, 1.25F}) {
      auto d = before;
      relu_dropout_backward(MatrixView(d.data(), units, samples, stride),
                            MatrixView<const TypeParam>(activation.data(), units, samples, stride), scale);
      for (std::size_t i = 0; i < d.size(); ++i) {
        const auto given = static_cast<float>(before[i]);
        const float passed = static_cast<float>(activation[i]) > 0.0F ? given * scale : 0.0F;
        ASSERT_EQ(d[i].bits, TypeParam(i % stride < samples ? passed : given).bits) << i;
      }
    }
  }
}

TYPED_TEST(HalfLayerOps, SumsAreInFp32AndWrittenOrAdded) {
  const auto d = random_halves<TypeParam>(units * stride, 5);
  for (const std::size_t samples : sample_counts) {
    const MatrixView<const TypeParam> view(d.data(), units, samples, stride);
    std::vector<float> sums(units, 100.0F);
    for (const double times : {1.0, 2.0}) {
      sum_samples(view, sums, times > 1.0);
      for (std::size_t u = 0; u < units; ++u) {
        double expected = 0.0, magnitude = 0.0;
        for (const TypeParam x : view.row(u)) {
          expected += static_cast<float>(x);
          magnitude += std::abs(static_cast<float>(x));
        }
        ASSERT_NEAR(sums[u], times * expected, times * 100 * 0x1p-24 * magnitude) << samples;
      }
    }
  }
  std::vector<float> sums(units, 100.0F);
  sum_samples(MatrixView<const TypeParam>(d.data(), units, 0, stride), sums, false);
  EXPECT_EQ(sums, std::vector<float>(units, 0.0F)) << "a microbatch without samples has a zero gradient";
}

TYPED_TEST(HalfLayerOps, DropoutDropsWhatItDropsInFp32) {
  const std::size_t samples = 37, many_units = 300;
  std::vector<std::uint32_t> ids(samples);
  for (std::size_t s = 0; s < samples; ++s) ids[s] = static_cast<std::uint32_t>(5 * s + 1);
  auto halves = random_halves<TypeParam>(many_units * samples, 6);
  std::vector<float> numbers(halves.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(halves[i]);
  dropout({numbers.data(), many_units, samples}, ids, 0.3, {1, 2, 3});
  dropout(MatrixView(halves.data(), many_units, samples), ids, 0.3, {1, 2, 3});
  for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(halves[i].bits, TypeParam(numbers[i]).bits) << i;
}

}  // namespace
}  // namespace fcmnist::kernels
