#include "core/counter_rng.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace fcmnist {
namespace {

// These are the known answers of the authors' Random123 distribution for philox4x32-10, for a counter and a
// key of all zeros and of all ones.
TEST(CounterRng, AgreesWithThePublishedKnownAnswers) {
  const CounterRng zeros(0, Purpose{0}, 0, 0);
  EXPECT_EQ(zeros.block(0), (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const CounterRng ones(0xffffffffffffffff, Purpose{0xffffffff}, 0xffffffff, 0xffffffff);
  EXPECT_EQ(ones.block(0xffffffff),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(CounterRng, ABlockForManyKeysAtOnceIsTheSameBlock) {
  std::array<std::uint32_t, 8> b;
  for (std::uint32_t l = 0; l < 8; ++l) b[l] = 0xfffffff0U + 7 * l;
  std::array<std::array<std::uint32_t, 8>, 4> words;
  const std::uint64_t seed = 5ULL << 32 | 12345;
  CounterRng::blocks(seed, Purpose::dropout, 6, b.data(), 42, words);
  for (std::size_t l = 0; l < 8; ++l) {
    const auto alone = CounterRng(seed, Purpose::dropout, 6, b[l]).block(42);
    for (std::size_t w = 0; w < 4; ++w) EXPECT_EQ(words[w][l], alone[w]);
  }
}

TEST(CounterRng, EveryPartOfTheKeyMatters) {
  std::set<std::uint32_t> seen;
  seen.insert(CounterRng(1, Purpose::dropout, 2, 3).u32(4));
  seen.insert(CounterRng(2, Purpose::dropout, 2, 3).u32(4));
  seen.insert(CounterRng(1ULL << 40 | 1, Purpose::dropout, 2, 3).u32(4));
  seen.insert(CounterRng(1, Purpose::fake_data, 2, 3).u32(4));
  seen.insert(CounterRng(1, Purpose::dropout, 5, 3).u32(4));
  seen.insert(CounterRng(1, Purpose::dropout, 2, 5).u32(4));
  seen.insert(CounterRng(1, Purpose::dropout, 2, 3).u32(5));
  EXPECT_EQ(seen.size(), 7U);
}

TEST(CounterRng, NormalHasTheRightMoments) {
  const CounterRng rng(7, Purpose::weight_init, 0, 0);
  const int n = 200'000;
  double sum = 0, square = 0, fourth = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal(i);
    sum += x;
    square += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / n, 0.0, 4 / std::sqrt(n));
  EXPECT_NEAR(square / n, 1.0, 4 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourth / n, 3.0, 4 * std::sqrt(96.0 / n));
}

TEST(CounterRng, BelowIsUniformAndInRange) {
  const CounterRng rng(3, Purpose::epoch_order, 0, 0);
  std::vector<int> count(7);
  for (int i = 0; i < 70'000; ++i) {
    const auto x = rng.below(7, i);
    ASSERT_LT(x, 7U);
    ++count[x];
  }
  for (int c : count) EXPECT_NEAR(c, 10'000, 5 * std::sqrt(10'000));
}

}  // namespace
}  // namespace fcmnist
