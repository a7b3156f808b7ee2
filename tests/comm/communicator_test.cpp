#include "comm/communicator.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/error.hpp"
#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;

TEST(Communicator, MovesTextsOfAnyLength) {
  const int last = world().size() - 1;
  EXPECT_EQ(world().broadcast(world().rank() == last ? "from the last" : "ignored", last), "from the last");
  EXPECT_EQ(world().broadcast("", 0), "");
  const auto texts = world().all_gather(std::string(static_cast<std::size_t>(world().rank()), 'x'));
  ASSERT_EQ(texts.size(), static_cast<std::size_t>(world().size()));
  for (std::size_t r = 0; r < texts.size(); ++r) EXPECT_EQ(texts[r], std::string(r, 'x'));
}

TEST(Communicator, MovesNumbersAndStructsAsTheyAre) {
  struct Position {
    std::int64_t step;
    double loss_scale;
    bool operator==(const Position&) const = default;
  };
  const auto position_of = [](int rank) { return Position{-rank - 5'000'000'000, 0.1 / (rank + 1)}; };
  for (int root = 0; root < world().size(); ++root) {
    EXPECT_EQ(world().broadcast(position_of(world().rank()), root), position_of(root));
    EXPECT_EQ(world().broadcast(world().rank() == root, root), true);
    const auto at_root = world().gather(position_of(world().rank()), root);
    ASSERT_EQ(at_root.size(), world().rank() == root ? static_cast<std::size_t>(world().size()) : 0U);
    for (std::size_t r = 0; r < at_root.size(); ++r) EXPECT_EQ(at_root[r], position_of(static_cast<int>(r)));
  }
  const auto positions = world().all_gather(position_of(world().rank()));
  ASSERT_EQ(positions.size(), static_cast<std::size_t>(world().size()));
  for (int rank = 0; rank < world().size(); ++rank) {
    EXPECT_EQ(positions[static_cast<std::size_t>(rank)], position_of(rank));
  }
}

TEST(Communicator, SumsAndExtremes) {
  const int n = world().size(), r = world().rank();
  std::int64_t counts[] = {r, 1};
  world().sum(counts);
  EXPECT_EQ(counts[0], n * (n - 1) / 2);
  EXPECT_EQ(counts[1], n);
  EXPECT_EQ(world().max(r), n - 1);
  EXPECT_EQ(world().min(r + 5), 5);
}

TEST(Communicator, SumsHaveTheSameBitsOnAllRanks) {
  const double mine = 1.0 / (3.0 + world().rank());
  double sums[] = {mine, 1e16 * mine, -mine};
  world().sum(sums);
  double expected = 0.0;
  for (int r = 0; r < world().size(); ++r) expected += 1.0 / (3.0 + r);
  EXPECT_EQ(sums[0], expected) << "added in rank order";
  EXPECT_EQ(sums[2], -expected);
  for (const auto& text : world().all_gather(fmt::format("{:a} {:a}", sums[0], sums[1]))) {
    EXPECT_EQ(text, fmt::format("{:a} {:a}", sums[0], sums[1]));
  }
}

TEST(Communicator, BroadcastsNumbersOfEveryRoot) {
  for (int root = 0; root < world().size(); ++root) {
    std::vector<float> numbers(300'000, static_cast<float>(world().rank() + 1));
    world().broadcast(numbers, root);
    EXPECT_EQ(numbers, std::vector<float>(numbers.size(), static_cast<float>(root + 1)));
  }
}

TEST(Collectively, AnErrorOnOneRankIsThrownByAll) {
  for (int failing = 0; failing < world().size(); ++failing) {
    try {
      collectively(world(), [&] {
        if (world().rank() >= failing)
          throw DataError("file of rank " + std::to_string(world().rank()), "look there");
      });
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_TRUE(error.agreed());
      EXPECT_EQ(error.code(), ExitCode::data);
      EXPECT_EQ(std::string(error.what()),
                "file of rank " + std::to_string(failing) + "\n  HINT: look there");
    }
  }
  EXPECT_NO_THROW(collectively(world(), [] {}));
  EXPECT_NO_THROW(collectively(world(), {})) << "ranks that have nothing to do";
}

TEST(SharedWindow, EveryRankSeesEverySegment) {
  const Topology topology(world());
  const SharedWindow window(topology.node(), 100 + static_cast<std::size_t>(world().rank()));
  window.segment(topology.node().rank())[99] = static_cast<std::byte>(world().rank() + 1);
  world().barrier();
  for (int r = 0; r < world().size(); ++r) {
    EXPECT_GE(window.segment(r).size(), 100U + static_cast<std::size_t>(r));
    EXPECT_EQ(window.segment(r)[99], static_cast<std::byte>(r + 1));
    EXPECT_EQ(window.segment(r)[0], std::byte{0});
  }
  world().barrier();
}

}  // namespace
}  // namespace fcmnist::comm
