#include "comm/weight_copies.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "support/mpi_test.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::comm {
namespace {

using test::random_numbers;
using test::world;

/// The weight copies of this rank, seen as floats.
class Copies {
 public:
  Copies(const Topology& topology, const Layout& layout)
      : layout_(&layout), copies_(topology, layout.size(), sizeof(float)) {}
  [[nodiscard]] ArenaView<float> mine() const { return {*layout_, reinterpret_cast<float*>(copies_.mine())}; }
  [[nodiscard]] const WeightCopies& operator*() const { return copies_; }

 private:
  const Layout* layout_;
  WeightCopies copies_;
};

Range range_of(const Block& block) { return {block.offset, block.offset + block.count}; }

class NodeCopies : public testing::TestWithParam<int> {
 protected:
  NodeCopies() { layout_.add("weight", 30, 300); }

  [[nodiscard]] bool same_on_all_ranks(ArenaView<const float> numbers) const {
    const std::string_view mine(reinterpret_cast<const char*>(numbers.data()), numbers.all().size_bytes());
    return world().min(mine == world().broadcast(mine, 0) ? 1 : 0) == 1;
  }

  Layout layout_;
};

TEST_P(NodeCopies, SpreadGivesEverybodyTheNumbersOfRank0) {
  const Topology topology(world(), GetParam());
  const Copies copies(topology, layout_);
  const auto of_rank = random_numbers(layout_.size(), static_cast<std::uint64_t>(world().rank()));
  std::ranges::copy(of_rank, copies.mine().data());
  (*copies).spread();
  const auto expected = random_numbers(layout_.size(), 0);
  EXPECT_TRUE(std::ranges::equal(copies.mine().all(), expected));
}

TEST_P(NodeCopies, OwnersWriteAndAllHaveTheSame) {
  const Topology topology(world(), GetParam());
  const Copies copies(topology, layout_);
  const auto blocks = blocks_of(layout_);
  const auto ranks = static_cast<std::size_t>(topology.node().size());
  const auto me = static_cast<std::size_t>(topology.node().rank());
  for (std::uint64_t step = 1; step <= 20; ++step) {
    const auto numbers = random_numbers(layout_.size(), step);
    for (std::size_t b = me; b < blocks.size(); b += ranks) {
      std::copy_n(numbers.data() + blocks[b].offset, blocks[b].count, copies.mine().block(blocks[b]).data());
      (*copies).offer(range_of(blocks[b]));
    }
    world().barrier();
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      if (b % ranks != me) (*copies).take(range_of(blocks[b]));
    }
    for (std::size_t i = 0; i < layout_.parameter_count(); ++i) {
      ASSERT_EQ(copies.mine().data()[i], numbers[i]);
    }
    EXPECT_TRUE(same_on_all_ranks(copies.mine()));
  }
}

/// Tries all 2^16 numbers of 2 bytes. They are moved and not computed with, so even a NaN keeps its bits.
TEST_P(NodeCopies, OfNumbersOfTwoBytesGiveEveryBit) {
  constexpr std::size_t count = std::size_t{1} << 16;
  Layout layout;
  layout.add("weight", 64, count / 64);
  const Topology topology(world(), GetParam());
  const WeightCopies copies(topology, layout.size(), 2);
  const std::span<std::uint16_t> mine(reinterpret_cast<std::uint16_t*>(copies.mine()), count);
  EXPECT_EQ(WeightCopies::shared_bytes(topology.seat(), layout.size(), 2),
            topology.node().size() > 1 ? layout.size() * 2 : 0);
  const auto blocks = blocks_of(layout);
  const auto ranks = static_cast<std::size_t>(topology.node().size());
  const auto me = static_cast<std::size_t>(topology.node().rank());
  const auto bits_at = [](std::size_t place, std::uint16_t step) {
    return static_cast<std::uint16_t>(place + 7919U * step);
  };
  for (std::uint16_t step = 1; step <= 3; ++step) {
    for (std::size_t b = me; b < blocks.size(); b += ranks) {
      const Range range = range_of(blocks[b]);
      for (std::size_t i = range.begin; i < range.end; ++i) mine[i] = bits_at(i, step);
      copies.offer(range);
    }
    world().barrier();
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      if (b % ranks != me) copies.take(range_of(blocks[b]));
    }
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(mine[i], bits_at(i, step)) << i;
    world().barrier();
  }
}

INSTANTIATE_TEST_SUITE_P(RanksPerNode, NodeCopies, testing::Values(0, 1, 2, 3));

// Numbers that several cores write must not share a cache line, and vector code is faster on whole lines.
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
