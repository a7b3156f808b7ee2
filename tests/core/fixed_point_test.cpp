#include "core/fixed_point.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace fcmnist {
namespace {

using Into = FixedPoint::Into;

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<float> normal_numbers(std::size_t count, unsigned seed, float deviation = 1.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, deviation);
  std::vector<float> numbers(count);
  std::ranges::generate(numbers, [&] { return normal(random); });
  return numbers;
}

/// The sum of one array, as floats.
std::vector<float> rounded(const FixedPoint& format, const std::vector<float>& values) {
  std::vector<std::int64_t> sums(values.size());
  format.add(values, Into::overwrite, sums);
  std::vector<float> out(values.size());
  const std::int64_t* const terms[] = {sums.data()};
  EXPECT_TRUE(format.sum(terms, out));
  return out;
}

TEST(FixedPoint, RoundsToTheNearestMultipleAndToEvenBetweenTwo) {
  const FixedPoint quarters(-2);
  EXPECT_EQ(quarters.unit(), 0.25);
  EXPECT_EQ(rounded(quarters, {0.1F, 0.2F, -0.2F, 0.125F, 0.375F, -0.125F, 1e10F, 0.0F}),
            (std::vector<float>{0.0F, 0.25F, -0.25F, 0.0F, 0.5F, 0.0F, 1e10F, 0.0F}));
}

TEST(FixedPoint, KeepsFloatsThatAreMultiplesOfItsUnit) {
  const auto numbers = normal_numbers(1001, 1);
  EXPECT_EQ(rounded(FixedPoint(-47), numbers), numbers);  // below 2^3, and mostly above 2^-23 of its 24 bits
  const auto tiny = std::vector<float>{std::numeric_limits<float>::denorm_min(), -3e-45F, 1e-38F};
  EXPECT_EQ(rounded(FixedPoint(FixedPoint::smallest_exponent), tiny), tiny);
  const auto huge = std::vector<float>{std::numeric_limits<float>::max(), -1e38F};
  EXPECT_EQ(rounded(FixedPoint(FixedPoint::largest_exponent), huge), huge);
}

TEST(FixedPoint, TheOrderOfAdditionsDoesNotMatter) {
  constexpr std::size_t count = 777, arrays = 24;
  const FixedPoint format(-40);
  std::vector<std::vector<float>> values;
  for (unsigned i = 0; i < arrays; ++i) {
    values.push_back(normal_numbers(count, i, std::ldexp(1.0F, static_cast<int>(i) - 16)));
  }
  std::vector<std::vector<float>> results;
  for (const std::size_t parts : {1, 2, 3, 7, 24}) {  // the number of ranks; the order differs each time
    std::ranges::rotate(values, values.begin() + 5);
    std::vector<std::vector<std::int64_t>> sums(parts, std::vector<std::int64_t>(count, 99));
    for (std::size_t i = 0; i < arrays; ++i) {
      format.add(values[i], i < parts ? Into::overwrite : Into::add, sums[i % parts]);
    }
    std::vector<const std::int64_t*> terms;
    for (const auto& sum : sums) terms.push_back(sum.data());
    ASSERT_TRUE(format.sum(terms, results.emplace_back(count)));
    // The sums of the nodes, each written over one of its terms, give the same bits.
    ordered_sum(terms, sums.back());
    const std::int64_t* const total[] = {sums.back().data()};
    ASSERT_TRUE(format.sum(total, results.emplace_back(count)));
  }
  // So does the sum of floats, written over one of its terms.
  std::vector<const float*> terms;
  for (const auto& array : values) terms.push_back(array.data());
  std::vector<float> last = values.back();
  terms.back() = last.data();
  const auto [largest, fits] = format.sum(terms, last);
  EXPECT_TRUE(fits);
  EXPECT_GT(largest, std::ldexp(1.0F, arrays - 17));
  results.push_back(last);
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
  for (std::size_t i = 0; i < count; ++i) {
    double exact = 0.0;
    for (const auto& array : values) exact += array[i];
    EXPECT_NEAR(results[0][i], exact, arrays * 0.5 * format.unit() + std::abs(exact) * 0x1p-24);
  }
}

TEST(FixedPoint, SaysTheLargestNumberAndWhetherItIsOne) {
  const FixedPoint format(-30);
  std::vector<std::int64_t> sums(5);
  const auto largest = [&](float value) {
    return format.add(std::vector{0.5F, -2.0F, value, 1.0F, -0.0F}, Into::overwrite, sums);
  };
  EXPECT_EQ(largest(0.0F), 2.0F);
  EXPECT_EQ(largest(-3.0F), 3.0F);
  EXPECT_EQ(largest(-infinity), infinity);
  EXPECT_TRUE(std::isnan(largest(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(largest(-std::numeric_limits<float>::quiet_NaN())));
  EXPECT_GT(largest(1.1e6F), format.limit());  // 2^20 = 1.05e6
}

TEST(FixedPoint, WhatFloatsDoNotFitIsNoticed) {
  const FixedPoint format(-30);  // up to 2^20
  const auto of = [&](float a, float b) {
    const std::vector<float> x = {0.0F, a}, y = {0.0F, b};
    const float* const terms[] = {x.data(), y.data()};
    std::vector<float> out(2);
    return format.sum(terms, out);
  };
  EXPECT_TRUE(of(5e5F, 5e5F).fits);
  EXPECT_FALSE(of(5.3e5F, 5.3e5F).fits);
  EXPECT_FALSE(of(1.1e6F, -1.1e6F).fits);
  EXPECT_EQ(of(1.0F, -infinity).largest, infinity);
  EXPECT_FALSE(of(1.0F, -infinity).fits);
  EXPECT_TRUE(std::isnan(of(std::numeric_limits<float>::quiet_NaN(), infinity).largest));
  EXPECT_FALSE(of(std::numeric_limits<float>::quiet_NaN(), 1.0F).fits);
  EXPECT_EQ(of(1e-20F, 0.0F).largest, 1e-20F);  // the largest term counts although the sum is 0
}

TEST(FixedPoint, ASumBeyondTheLimitIsNoticed) {
  const FixedPoint format(0);
  const auto of = [&](double a, double b) {
    std::vector<std::int64_t> sums[] = {{0, static_cast<std::int64_t>(a)}, {0, static_cast<std::int64_t>(b)}};
    const std::int64_t* const terms[] = {sums[0].data(), sums[1].data()};
    std::vector<float> out(2);
    return format.sum(terms, out);
  };
  EXPECT_TRUE(of(0x1p49, 0x1p49 - 1));
  EXPECT_FALSE(of(0x1p49, 0x1p49));
  EXPECT_TRUE(of(-0x1p49, -0x1p49 + 1));
  EXPECT_FALSE(of(-0x1p49, -0x1p49 - 1));
  EXPECT_FALSE(of(-0x1p61, -0x1p60));
  EXPECT_TRUE(of(0x1p61, -0x1p61));
}

TEST(ExactSum, IsTheSameInAnyOrderAndOnAnyNumberOfRanks) {
  std::mt19937 random(1);
  std::vector<double> values;
  for (int i = 0; i < FixedPoint::most_terms; ++i) {
    values.push_back(std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 90) - 60));
  }
  std::vector<double> totals;
  for (std::size_t ranks = 1; ranks < 6; ++ranks) {
    std::ranges::shuffle(values, random);
    std::vector<ExactSum> sums(ranks);
    for (std::size_t i = 0; i < values.size(); ++i) sums[i % ranks].add(values[i]);
    std::array<double, ExactSum::part_count> parts{};
    for (const ExactSum& sum : sums) {
      for (std::size_t p = 0; p < parts.size(); ++p) parts[p] += sum.parts()[p];
    }
    totals.push_back(ExactSum(parts).value());
  }
  for (const double total : totals) EXPECT_EQ(total, totals[0]);
  std::ranges::sort(values);
  double expected = 0.0;
  for (const double value : values) expected += value;
  EXPECT_NEAR(totals[0], expected, 1e-12 * expected);
}

TEST(ExactSum, KeepsSmallNumbersAndWhatIsNotFinite) {
  const auto sum_of = [](double number) {
    ExactSum sum;
    sum.add(1.0);
    sum.add(number);
    return sum.value();
  };
  for (const double value : {0.0, 1e-12, 0.3, 123.456, 1e9, 1e20, 1e25}) {
    EXPECT_NEAR(sum_of(value), 1.0 + value, 0x1p-51 + value * 0x1p-52) << value;
  }
  EXPECT_TRUE(std::isnan(sum_of(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_EQ(sum_of(infinity), infinity);
  EXPECT_EQ(sum_of(0x1p86), infinity);  // the sum is never silently inexact
}

}  // namespace
}  // namespace fcmnist
