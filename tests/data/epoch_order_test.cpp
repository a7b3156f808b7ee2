#include "data/epoch_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace fcmnist::data {
namespace {

using Ids = std::vector<std::uint32_t>;

Ids ids_of(EpochOrder& order, std::uint64_t epoch) {
  const auto ids = order.order(epoch);
  return {ids.begin(), ids.end()};
}

TEST(EpochOrder, EveryEpochIsAPermutation) {
  for (const std::size_t samples : {1U, 2U, 3U, 1000U}) {
    EpochOrder order(all_ids(samples), 1, true);
    for (const std::uint64_t epoch : {0U, 1U, 77U}) {
      Ids ids = ids_of(order, epoch);
      std::sort(ids.begin(), ids.end());
      EXPECT_EQ(ids, all_ids(samples));
    }
  }
}

TEST(EpochOrder, TakesTheMemoryThatWasForetold) {
  EpochOrder order(all_ids(1000), 1, true);
  EXPECT_EQ(2 * order.order(0).size_bytes(), EpochOrder::bytes(1000)) << "the ids, and their order";
}

TEST(EpochOrder, IsAFunctionOfSeedAndEpochOnly) {
  EpochOrder order(all_ids(1000), 1, true);
  const Ids first = ids_of(order, 0), second = ids_of(order, 1), far = ids_of(order, 1ULL << 32);
  EXPECT_NE(first, second);
  EXPECT_NE(first, far);
  EXPECT_EQ(ids_of(order, 0), first) << "going back";
  EpochOrder resumed(all_ids(1000), 1, true);
  EXPECT_EQ(ids_of(resumed, 1), second) << "without the epochs before";
  EpochOrder other_seed(all_ids(1000), 2, true);
  EXPECT_NE(ids_of(other_seed, 0), first);
}

// A resumed run must see the order that the interrupted one would have seen, also with a later build.
TEST(EpochOrder, IsTheOneOfEarlierBuilds) {
  EpochOrder order(all_ids(8), 1, true);
  EXPECT_EQ(ids_of(order, 0), (Ids{3, 4, 1, 6, 5, 0, 2, 7}));
  EXPECT_EQ(ids_of(order, 1), (Ids{4, 5, 7, 3, 1, 6, 2, 0}));
}

TEST(EpochOrder, EverySampleIsEquallyLikelyAtEveryPlace) {
  constexpr int samples = 5, epochs = 20'000;
  EpochOrder order(all_ids(samples), 3, true);
  std::array<std::array<int, samples>, samples> count{};
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto ids = order.order(epoch);
    for (int place = 0; place < samples; ++place) ++count[place][ids[place]];
  }
  const double expected = epochs / double{samples};
  for (const auto& row : count) {
    for (const int n : row) EXPECT_NEAR(n, expected, 5 * std::sqrt(expected));
  }
}

TEST(EpochOrder, OrdersTheIdsThatItWasGiven) {
  EpochOrder places(all_ids(5), 1, true), order({10, 11, 13, 17, 19}, 1, true);
  const Ids given = {10, 11, 13, 17, 19};
  for (const std::uint64_t epoch : {0U, 3U}) {
    Ids expected;
    for (const std::uint32_t place : places.order(epoch)) expected.push_back(given[place]);
    EXPECT_EQ(ids_of(order, epoch), expected);
  }
}

TEST(EpochOrder, WithoutShuffleIsTheOrderOfTheFile) {
  EpochOrder order(all_ids(10), 1, false);
  EXPECT_EQ(ids_of(order, 0), all_ids(10));
  EXPECT_EQ(ids_of(order, 5), all_ids(10));
}

}  // namespace
}  // namespace fcmnist::data
