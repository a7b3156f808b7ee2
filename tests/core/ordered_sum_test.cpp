#include "core/ordered_sum.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/random_matrix.hpp"

namespace fcmnist {
namespace {

using test::random_numbers;

TEST(OrderedSum, AddsInTheGivenOrderAlsoIntoOneOfTheSources) {
  for (const std::size_t count : {1U, 15U, 16U, 255U, 256U, 4096U, 4111U}) {
    const auto a = random_numbers(count, 1), b = random_numbers(count, 2);
    auto c = random_numbers(count, 3);
    std::vector<float> expected(count);
    double squares = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      expected[i] = (a[i] + b[i]) + c[i];
      squares += static_cast<double>(expected[i]) * expected[i];
    }
    const float* sources[] = {a.data(), b.data(), c.data()};
    EXPECT_NEAR(ordered_sum(sources, c), squares, 1e-6 * squares);
    EXPECT_EQ(c, expected);
  }
}

TEST(OrderedSum, OfOneSourceIsThatSource) {
  auto a = random_numbers(100, 1);
  const auto before = a;
  const float* sources[] = {a.data()};
  ordered_sum(sources, a);
  EXPECT_EQ(a, before);
}

}  // namespace
}  // namespace fcmnist
