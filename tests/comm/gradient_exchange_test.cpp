#include "comm/gradient_exchange.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <tuple>

#include "core/ordered_sum.hpp"
#include "support/mpi_test.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::comm {
namespace {

using test::random_numbers;
using test::world;

Layout small_net() {
  Layout layout;
  layout.add("fc_layers.0.weight", 120, 784);
  layout.add("fc_layers.0.bias", 1, 120);
  layout.add("wide", 3, 9'001);
  layout.add("last_layer.weight", 10, 120);
  return layout;
}

std::vector<float> gradient_of_rank(const Layout& layout, int rank, int step) {
  return random_numbers(layout.size(), static_cast<std::uint64_t>(1 + rank + 100 * step));
}

/// One part for each slot. The first slot is divided into parts of ten blocks.
std::vector<Range> parts_of(const Layout& layout) {
  std::vector<Range> parts;
  const std::size_t piece = 50 * 784;
  for (std::size_t begin = 0; begin < layout[0].count(); begin += piece) {
    parts.push_back({begin, std::min(begin + piece, layout[0].count())});
  }
  for (std::size_t s = 1; s < layout.slots().size(); ++s) {
    parts.push_back({layout[s].offset, layout[s].offset + layout[s].count()});
  }
  return parts;
}

CommOptions with_streams(int streams) {
  CommOptions options;
  options.exchange_streams = streams;
  return options;
}

/// The parameters are the number of ranks per node (0 means one node) and the number of streams between
/// nodes. So the world has one node, several nodes, or one rank on each node; the last node may be smaller.
class Exchange : public testing::TestWithParam<std::tuple<int, int>> {
 protected:
  Layout layout_ = small_net();
  Topology topology_{world(), std::get<0>(GetParam())};
  GradientExchange<float> exchange_{
      topology_, layout_, parts_of(layout_), 2, with_streams(std::get<1>(GetParam())), true};
  SharedArray<float> result_{topology_.node(), layout_.size()};

  double one_step(int step) {
    const double mine[] = {1.0, static_cast<double>(world().rank() + step)};
    exchange_.begin(mine);
    const auto gradient = gradient_of_rank(layout_, world().rank(), step);
    for (const Range& part : parts_of(layout_)) {
      std::copy_n(gradient.data() + part.begin, part.size(), exchange_.local_gradient().data() + part.begin);
      exchange_.post();
    }
    exchange_.wait_for_node();
    const auto small = exchange_.finish();
    EXPECT_EQ(small[0], world().size());
    EXPECT_EQ(small[1], world().size() * (world().size() - 1) / 2 + world().size() * step);
    for (const std::size_t b : exchange_.owned()) {
      const Block& block = exchange_.blocks()[b];
      const std::span<float> result(result_.data() + block.offset, block.count);
      exchange_.set_squares(Squares::of_gradient, b, ordered_sum(exchange_.sources(block), result));
    }
    exchange_.share_squares();
    std::vector<double> of_slots(layout_.slots().size());
    exchange_.sum_squares(Squares::of_gradient, of_slots);
    const double squares = std::accumulate(of_slots.begin(), of_slots.end(), 0.0);
    exchange_.publish();
    return squares;
  }
};

TEST_P(Exchange, EveryNodeGetsTheSumOfAllGradients) {
  for (int step = 0; step < 5; ++step) {
    const double squares = one_step(step);
    std::vector<double> expected(layout_.size(), 0.0);
    for (int rank = 0; rank < world().size(); ++rank) {
      const auto gradient = gradient_of_rank(layout_, rank, step);
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += gradient[i];
    }
    double expected_squares = 0.0;
    for (const Slot& slot : layout_.slots()) {
      for (std::size_t i = slot.offset; i < slot.offset + slot.count(); ++i) {
        ASSERT_NEAR(result_.data()[i], expected[i], 1e-5) << slot.name;
        expected_squares += expected[i] * expected[i];
      }
    }
    EXPECT_NEAR(squares, expected_squares, 1e-4 * expected_squares);
    world().barrier();  // The next step overwrites results that other ranks still compare.
  }
}

TEST_P(Exchange, BitsAreTheSameOnAllRanksAndInASecondRun) {
  const auto bits = [&] {
    const double squares = one_step(7);
    const auto* bytes = reinterpret_cast<const char*>(result_.data());
    std::string all(bytes, bytes + layout_.size() * sizeof(float));
    all.append(reinterpret_cast<const char*>(&squares), sizeof squares);
    world().barrier();
    return all;
  };
  const std::string first = bits();
  EXPECT_EQ(first, world().broadcast(first, 0));
  EXPECT_EQ(first, bits());
}

TEST_P(Exchange, BlocksOfANodeAreOwnedOnce) {
  std::vector<std::int64_t> owners(exchange_.blocks().size(), 0);
  for (const std::size_t b : exchange_.owned()) ++owners[b];
  topology_.node().sum(std::span(owners));
  for (const auto count : owners) EXPECT_EQ(count, 1);
}

TEST_P(Exchange, TheNumberOfOwnedBlocksIsKnownBeforehand) {
  const Communicator& node = topology_.node();
  EXPECT_EQ(exchange_.owned().size(),
            BlockOwners::owned_count(exchange_.blocks().size(), node.size(), node.rank()));
}

INSTANTIATE_TEST_SUITE_P(RanksPerNode, Exchange,
                         testing::Combine(testing::Values(0, 1, 2, 3, 4), testing::Values(1, 2, 4)));

}  // namespace
}  // namespace fcmnist::comm
