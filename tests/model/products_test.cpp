#include "model/products.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "core/convert.hpp"
#include "support/random_half.hpp"

namespace fcmnist::model {
namespace {

using kernels::GemmBackend;
using kernels::Op;

constexpr std::size_t outputs = 7, inputs = 33, samples = 5;

template <class Half>
class HalfProducts : public testing::Test {
 protected:
  /// weight below + bias in double, of unit u and sample s, and the sum of the magnitudes.
  [[nodiscard]] std::pair<double, double> sum(std::size_t u, std::size_t s) const {
    double value = number(bias_[u]), magnitude = std::abs(value);
    for (std::size_t i = 0; i < inputs; ++i) {
      const double term = number(weight_[u * inputs + i]) * number(below_[i * samples + s]);
      value += term;
      magnitude += std::abs(term);
    }
    return {value, magnitude};
  }
  static double number(Half half) { return static_cast<double>(static_cast<float>(half)); }
  [[nodiscard]] MatrixView<const Half> weight() const { return {weight_.data(), outputs, inputs}; }
  [[nodiscard]] MatrixView<const Half> below() const { return {below_.data(), inputs, samples}; }

  std::vector<Half> weight_ = test::random_halves<Half>(outputs * inputs, 1);
  std::vector<Half> below_ = test::random_halves<Half>(inputs * samples, 2);
  std::vector<Half> bias_ = test::random_halves<Half>(outputs, 3);
  Products<Half> products_;
};
using Halves = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(HalfProducts, Halves);

TYPED_TEST(HalfProducts, LogitsAreNotRounded) {
  std::vector<float> logits(outputs * samples);
  this->products_.logits(GemmBackend::openblas, this->weight(), this->bias_, Op::none, this->below(),
                         {logits.data(), outputs, samples});
  for (std::size_t u = 0; u < outputs; ++u) {
    for (std::size_t s = 0; s < samples; ++s) {
      const auto [value, magnitude] = this->sum(u, s);
      EXPECT_NEAR(logits[u * samples + s], value, inputs * 0x1p-24 * magnitude);
    }
  }
}

TYPED_TEST(HalfProducts, HiddenUnitsAreRoundedOnce) {
  std::vector<TypeParam> out(outputs * samples);
  this->products_.hidden(GemmBackend::openblas, this->weight(), this->bias_, Op::none, this->below(),
                         {out.data(), outputs, samples});
  for (std::size_t u = 0; u < outputs; ++u) {
    for (std::size_t s = 0; s < samples; ++s) {
      const auto [value, magnitude] = this->sum(u, s);
      const double expected = std::max(value, 0.0);
      EXPECT_NEAR(this->number(out[u * samples + s]), expected,
                  test::unit_roundoff<TypeParam> * expected + inputs * 0x1p-23 * magnitude);
    }
  }
}

/// There are no instructions for float16.
TEST(EmulatedProducts, AreThoseOfTheLibraryThatEachCallNames) {
  constexpr std::size_t depth = 2000;  // long sums: libraries add them in different orders
  const auto weight = test::random_halves<Float16>(outputs * depth, 1);
  const auto below = test::random_halves<Float16>(depth * samples, 2);
  std::vector<float> wide_weight(weight.size()), wide_below(below.size());
  convert(std::span(weight), std::span(wide_weight));
  convert(std::span(below), std::span(wide_below));
  Products<Float16> products;
  std::vector<std::vector<float>> of_libraries;
  for (const GemmBackend backend : {GemmBackend::openblas, GemmBackend::onednn}) {
    if (!kernels::available(backend)) continue;
    std::vector<float> expected(outputs * samples), logits(outputs * samples);
    kernels::gemm(backend, Op::none, {wide_weight.data(), outputs, depth}, Op::none,
                  {wide_below.data(), depth, samples}, 1.0F, 0.0F, {expected.data(), outputs, samples});
    products.logits(backend, {weight.data(), outputs, depth}, {}, Op::none, {below.data(), depth, samples},
                    {logits.data(), outputs, samples});
    EXPECT_EQ(logits, expected);
    of_libraries.push_back(std::move(expected));
  }
  if (of_libraries.size() == 2) {
    EXPECT_NE(of_libraries[0], of_libraries[1]);
  }
}

}  // namespace
}  // namespace fcmnist::model
