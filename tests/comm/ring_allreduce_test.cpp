#include "comm/ring_allreduce.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <cmath>
#include <limits>

#include "support/mpi_test.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::comm {
namespace {

using test::random_numbers;
using test::world;

TEST(RingAllreduce, SumsArraysOfAnyLengthToTheSameBitsOnAllRanks) {
  RingAllreduce<float> ring(world(), 100'000, 7);
  for (const std::size_t count :
       {0U, 1U, 2U, 7U, 1000U, 99'999U, 100'000U}) {  // The first ones are fewer than the ranks.
    std::vector<double> expected(count, 0.0);
    for (int rank = 0; rank < world().size(); ++rank) {
      const auto theirs = random_numbers(count, static_cast<std::uint64_t>(rank));
      for (std::size_t i = 0; i < count; ++i) expected[i] += theirs[i];
    }
    auto numbers = random_numbers(count, static_cast<std::uint64_t>(world().rank()));
    ring.start(numbers);
    while (!ring.progress()) sched_yield();
    for (std::size_t i = 0; i < count; ++i) ASSERT_NEAR(numbers[i], expected[i], 1e-5);
    const std::string_view bits(reinterpret_cast<const char*>(numbers.data()), count * sizeof(float));
    EXPECT_EQ(bits, world().broadcast(bits, 0));
  }
}

TEST(RingAllreduce, AWireOfBFloat16GivesTheSameBitsWithinItsBound) {
  RingAllreduce<float> ring(world(), 100'000, 7, WireType::bfloat16);
  for (const std::size_t count : {0U, 1U, 2U, 7U, 1000U, 100'000U}) {
    std::vector<double> expected(count, 0.0), magnitudes(count, 0.0);
    for (int rank = 0; rank < world().size(); ++rank) {
      const auto theirs = random_numbers(count, static_cast<std::uint64_t>(rank));
      for (std::size_t i = 0; i < count; ++i) {
        expected[i] += theirs[i];
        magnitudes[i] += std::abs(theirs[i]);
      }
    }
    auto numbers = random_numbers(count, static_cast<std::uint64_t>(world().rank()));
    ring.start(numbers);
    while (!ring.progress()) sched_yield();
    double errors = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      const double error = std::abs(numbers[i] - expected[i]);
      ASSERT_LE(error, world().size() * 0x1p-8 * magnitudes[i]) << i;
      errors += error;
      if (world().size() > 1) {
        ASSERT_EQ(static_cast<float>(BFloat16(numbers[i])), numbers[i]);
      }
    }
    EXPECT_EQ(errors > 0.0, world().size() > 1 && count > 0);
    const std::string_view bits(reinterpret_cast<const char*>(numbers.data()), count * sizeof(float));
    EXPECT_EQ(bits, world().broadcast(bits, 0));
  }
}

TEST(RingAllreduce, AWireOfBFloat16GivesTheSameBitsOfNumbersAtTheEdges) {
  constexpr float infinity = std::numeric_limits<float>::infinity(),
                  nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> edges = {-0.0F, -1e-42F, 1e-42F,   infinity, -infinity,
                                    nan,   3.4e38F, -3.4e38F, 1.0F};
  std::vector<float> numbers;
  for (int copies = 0; copies < 2 * world().size(); ++copies) {
    numbers.insert(numbers.end(), edges.begin(), edges.end());
  }
  RingAllreduce<float> ring(world(), numbers.size(), 7, WireType::bfloat16);
  ring.start(numbers);
  while (!ring.progress()) sched_yield();
  const std::string_view bits(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float));
  EXPECT_EQ(bits, world().broadcast(bits, 0));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const float edge = edges[i % edges.size()];
    EXPECT_EQ(std::isnan(numbers[i]), std::isnan(edge)) << i;
    if (!std::isnan(edge)) {
      EXPECT_EQ(std::signbit(numbers[i]), std::signbit(edge)) << i;
    }
    EXPECT_EQ(std::isinf(numbers[i]), std::isinf(edge) || (world().size() > 1 && std::abs(edge) > 1e38F))
        << i;
  }
}

TEST(RingAllreduce, SumsIntegersExactly) {
  constexpr std::size_t count = 50'001;
  RingAllreduce<std::int64_t> ring(world(), count, 7);
  const auto number = [](int rank, std::size_t i) {
    const auto size = static_cast<std::int64_t>(i * i) << 20;
    return rank % 2 == 0 ? size + rank : -size;
  };
  std::vector<std::int64_t> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = number(world().rank(), i);
  ring.start(numbers);
  while (!ring.progress()) sched_yield();
  for (std::size_t i = 0; i < count; ++i) {
    std::int64_t expected = 0;
    for (int rank = 0; rank < world().size(); ++rank) expected += number(rank, i);
    ASSERT_EQ(numbers[i], expected);
  }
}

}  // namespace
}  // namespace fcmnist::comm
