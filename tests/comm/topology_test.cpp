#include "comm/topology.hpp"

#include <gtest/gtest.h>

#include "comm/placement.hpp"
#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;

TEST(Topology, GroupsConsecutiveRanks) {
  const Topology topology(world(), 2);
  EXPECT_EQ(topology.node_count(), (world().size() + 1) / 2);
  EXPECT_EQ(topology.node().rank(), world().rank() % 2);
  EXPECT_EQ(topology.world_rank(topology.node().rank()), world().rank());
  EXPECT_EQ(topology.is_leader(), world().rank() % 2 == 0);
  EXPECT_EQ(topology.smallest_node(), world().size() > 1 && world().size() % 2 == 0 ? 2 : 1);
  if (topology.is_leader()) {
    EXPECT_EQ(topology.peers().size(), topology.node_count());
  }
}

TEST(GatherPlacement, SaysForEveryRankWhichNodeItIsOnAndOnWhichCores) {
  const auto placement = gather_placement(Topology(world(), 2));
  ASSERT_EQ(placement.size(), static_cast<std::size_t>(world().size()));
  for (int r = 0; r < world().size(); ++r) {
    EXPECT_EQ(placement[static_cast<std::size_t>(r)].node, r / 2);
    EXPECT_FALSE(placement[static_cast<std::size_t>(r)].cores.empty());
  }
}

}  // namespace
}  // namespace fcmnist::comm
