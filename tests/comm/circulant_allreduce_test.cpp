#include "comm/circulant_allreduce.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "support/mpi_test.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::comm {
namespace {

using test::random_numbers;
using test::world;

/// Calls it with groups of 1, 2, ... ranks, on those ranks.
template <class Test>
void with_groups_of_every_size(Test test) {
  for (int size = 1; size <= world().size(); ++size) {
    const bool is_member = world().rank() < size;
    const Communicator group = world().split(is_member ? 0 : 1);
    SCOPED_TRACE(size);
    if (is_member) test(group);
  }
}

template <class Number>
void sum_over(const Communicator& group, std::vector<Number>& numbers, WireType wire = WireType::float32) {
  CirculantAllreduce<Number> sum(group, numbers.size(), 7, wire);
  sum.start(numbers);
  while (!sum.progress()) sched_yield();
}

template <class Number>
std::string_view bits_of(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

TEST(CirculantAllreduce, SumsArraysOfAnyLengthToTheSameBitsOnAllRanks) {
  with_groups_of_every_size([](const Communicator& group) {
    CirculantAllreduce<float> sum(group, 50'000, 7);
    for (const std::size_t count :
         {0U, 1U, 2U, 7U, 1000U, 49'999U}) {  // The first ones are fewer than the ranks.
      std::vector<double> expected(count, 0.0);
      for (int rank = 0; rank < group.size(); ++rank) {
        const auto theirs = random_numbers(count, static_cast<std::uint64_t>(rank));
        for (std::size_t i = 0; i < count; ++i) expected[i] += theirs[i];
      }
      auto numbers = random_numbers(count, static_cast<std::uint64_t>(group.rank()));
      sum.start(numbers);
      while (!sum.progress()) sched_yield();
      for (std::size_t i = 0; i < count; ++i) ASSERT_NEAR(numbers[i], expected[i], 1e-5);
      EXPECT_EQ(bits_of(numbers), group.broadcast(bits_of(numbers), 0));
    }
  });
}

TEST(CirculantAllreduce, SumsAFewDoubles) {
  with_groups_of_every_size([](const Communicator& group) {
    for (const std::size_t count : {1U, 5U, 8U}) {  // fewer than the ranks of large groups
      std::vector<double> numbers(count);
      for (std::size_t i = 0; i < count; ++i) numbers[i] = 0x1p-40 * static_cast<double>(i) + group.rank();
      sum_over(group, numbers);
      const int size = group.size();
      for (std::size_t i = 0; i < count; ++i) {  // exact in double, not in float
        ASSERT_EQ(numbers[i], size * (0x1p-40 * static_cast<double>(i)) + size * (size - 1) / 2);
      }
    }
  });
}

TEST(CirculantAllreduce, AWireOfBFloat16GivesTheSameBitsWithinItsBound) {
  with_groups_of_every_size([](const Communicator& group) {
    for (const std::size_t count : {0U, 1U, 2U, 7U, 1000U, 50'000U}) {
      std::vector<double> expected(count, 0.0), magnitudes(count, 0.0);
      for (int rank = 0; rank < group.size(); ++rank) {
        const auto theirs = random_numbers(count, static_cast<std::uint64_t>(rank));
        for (std::size_t i = 0; i < count; ++i) {
          expected[i] += theirs[i];
          magnitudes[i] += std::abs(theirs[i]);
        }
      }
      auto numbers = random_numbers(count, static_cast<std::uint64_t>(group.rank()));
      sum_over(group, numbers, WireType::bfloat16);
      double errors = 0.0;
      for (std::size_t i = 0; i < count; ++i) {
        const double error = std::abs(numbers[i] - expected[i]);
        ASSERT_LE(error, (allreduce_rounds(group.size()) / 2 + 1) * 0x1.02p-8 * magnitudes[i]) << i;
        errors += error;
        if (group.size() > 1) {
          ASSERT_EQ(static_cast<float>(BFloat16(numbers[i])), numbers[i]);
        }
      }
      EXPECT_EQ(errors > 0.0, group.size() > 1 && count > 0);
      EXPECT_EQ(bits_of(numbers), group.broadcast(bits_of(numbers), 0));
    }
  });
}

TEST(CirculantAllreduce, AWireOfBFloat16GivesTheSameBitsOfNumbersAtTheEdges) {
  constexpr float infinity = std::numeric_limits<float>::infinity(),
                  nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> edges = {-0.0F, -1e-42F, 1e-42F,   infinity, -infinity,
                                    nan,   3.4e38F, -3.4e38F, 1.0F};
  std::vector<float> numbers;
  for (int copies = 0; copies < 2 * world().size(); ++copies) {
    numbers.insert(numbers.end(), edges.begin(), edges.end());
  }
  sum_over(world(), numbers, WireType::bfloat16);
  EXPECT_EQ(bits_of(numbers), world().broadcast(bits_of(numbers), 0));
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

TEST(CirculantAllreduce, SumsIntegersExactly) {
  const auto number = [](int rank, std::size_t i) {
    const auto size = static_cast<std::int64_t>(i * i) << 20;
    return rank % 2 == 0 ? size + rank : -size;
  };
  with_groups_of_every_size([&](const Communicator& group) {
    std::vector<std::int64_t> numbers(20'001);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = number(group.rank(), i);
    sum_over(group, numbers);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      std::int64_t expected = 0;
      for (int rank = 0; rank < group.size(); ++rank) expected += number(rank, i);
      ASSERT_EQ(numbers[i], expected);
    }
  });
}

TEST(CirculantAllreduce, TakesTheFewestRoundsAndBytes) {
  const int rounds[] = {0, 2, 4, 4, 6, 6, 6, 6, 8};
  for (int ranks = 1; ranks <= 9; ++ranks) EXPECT_EQ(allreduce_rounds(ranks), rounds[ranks - 1]) << ranks;
  EXPECT_EQ(allreduce_rounds(256), 16);
  EXPECT_EQ(allreduce_rounds(257), 18);
  for (const int ranks : {2, 3, 5, 12, 64, 100}) {
    const auto count = static_cast<std::size_t>(1000 * ranks);
    for (const int rank : {0, 1, ranks - 1}) {
      EXPECT_EQ(allreduce_bytes_sent(count, ranks, rank, 4),
                4U * 2 * 1000 * static_cast<std::size_t>(ranks - 1));
    }
  }
}

}  // namespace
}  // namespace fcmnist::comm
