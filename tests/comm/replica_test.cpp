#include "comm/replica.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

#include "support/mpi_test.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::comm {
namespace {

using test::random_numbers;
using test::world;

class Replicas : public testing::TestWithParam<int> {
 protected:
  Replicas() { layout_.add("weight", 30, 300); }

  [[nodiscard]] bool same_on_all_ranks(ArenaView<const float> numbers) const {
    const std::string_view mine(reinterpret_cast<const char*>(numbers.data()), numbers.all().size_bytes());
    return world().min(mine == world().broadcast(mine, 0) ? 1 : 0) == 1;
  }

  Layout layout_;
};

TEST_P(Replicas, SpreadGivesEverybodyTheNumbersOfRank0) {
  const Topology topology(world(), GetParam());
  Replica replica(topology, layout_);
  const auto of_rank = random_numbers(layout_.size(), static_cast<std::uint64_t>(world().rank()));
  std::ranges::copy(of_rank, replica.mine().data());
  spread(replica);
  const auto expected = random_numbers(layout_.size(), 0);
  EXPECT_TRUE(std::ranges::equal(replica.mine().all(), expected));
}

TEST_P(Replicas, OwnersWriteAndAllHaveTheSame) {
  const Topology topology(world(), GetParam());
  Replica replica(topology, layout_);
  const auto blocks = blocks_of(layout_);
  const auto ranks = static_cast<std::size_t>(topology.node().size());
  const auto me = static_cast<std::size_t>(topology.node().rank());
  for (std::uint64_t step = 1; step <= 20; ++step) {
    const auto numbers = random_numbers(layout_.size(), step);
    for (std::size_t b = me; b < blocks.size(); b += ranks) {
      std::copy_n(numbers.data() + blocks[b].offset, blocks[b].count, replica.mine().block(blocks[b]).data());
      replica.offer(blocks[b]);
    }
    world().barrier();
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      if (b % ranks != me) replica.take(blocks[b]);
    }
    for (std::size_t i = 0; i < layout_.parameter_count(); ++i)
      ASSERT_EQ(replica.mine().data()[i], numbers[i]);
    EXPECT_TRUE(same_on_all_ranks(replica.mine()));
  }
}

/// All 2^16 of them: numbers are moved, not computed with, so that a NaN stays the same NaN.
template <class Half>
void expect_every_half_is_taken_as_it_was_offered(int ranks_per_node) {
  constexpr std::size_t all_halves = std::size_t{1} << 16;
  Layout layout;
  layout.add("weight", 64, all_halves / 64);
  const Topology topology(world(), ranks_per_node);
  const BasicReplica<Half> replica(topology, layout);
  EXPECT_EQ(BasicReplica<Half>::shared_bytes(topology.seat(), layout),
            topology.node().size() > 1 ? layout.size() * 2 : 0);
  const auto blocks = blocks_of(layout);
  const auto ranks = static_cast<std::size_t>(topology.node().size());
  const auto me = static_cast<std::size_t>(topology.node().rank());
  const auto bits_at = [](std::size_t place, std::uint16_t step) {
    return static_cast<std::uint16_t>(place + 7919U * step);
  };
  for (std::uint16_t step = 1; step <= 3; ++step) {
    for (std::size_t b = me; b < blocks.size(); b += ranks) {
      const std::span<Half> mine = replica.mine().block(blocks[b]);
      for (std::size_t i = 0; i < mine.size(); ++i) {
        mine[i] = std::bit_cast<Half>(bits_at(blocks[b].offset + i, step));
      }
      replica.offer(blocks[b]);
    }
    world().barrier();
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      if (b % ranks != me) replica.take(blocks[b]);
    }
    for (std::size_t i = 0; i < all_halves; ++i) {
      ASSERT_EQ(std::bit_cast<std::uint16_t>(replica.mine().data()[i]), bits_at(i, step)) << i;
    }
    world().barrier();
  }
}

TEST_P(Replicas, OfHalvesGiveEveryBit) {
  expect_every_half_is_taken_as_it_was_offered<BFloat16>(GetParam());
  expect_every_half_is_taken_as_it_was_offered<Float16>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(RanksPerNode, Replicas, testing::Values(0, 1, 2, 3));

// What several cores write side by side must not share a cache line, and vector code wants whole lines.
TEST(SharedWindow, SegmentsBeginWithACacheLineAndAreZero) {
  const Topology topology(world());
  for (const std::size_t bytes : {1U, 64U, 1000U, 100'000U}) {
    const SharedWindow window(topology.node(), bytes);
    for (int rank = 0; rank < topology.node().size(); ++rank) {
      const auto segment = window.segment(rank);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(segment.data()) % 64, 0U);
      ASSERT_GE(segment.size(), bytes);
      EXPECT_TRUE(std::ranges::all_of(segment, [](std::byte b) { return b == std::byte{0}; }));
    }
    topology.node().barrier();
    std::ranges::fill(window.segment(topology.node().rank()), std::byte{7});
    topology.node().barrier();
  }
}

}  // namespace
}  // namespace fcmnist::comm
