#include "comm/grid.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;

std::vector<int> stage_counts() {
  std::vector<int> counts;
  for (int stages = 1; stages <= world().size(); ++stages) {
    if (world().size() % stages == 0) counts.push_back(stages);
  }
  return counts;
}

TEST(Grid, RanksAreReplicasTimesStagesAndReplicasAreNeighbours) {
  const Topology topology(world());
  for (const int stages : stage_counts()) {
    const Grid grid(topology, stages);
    EXPECT_EQ(grid.stages() * grid.replicas(), world().size());
    EXPECT_EQ(grid.stage() * grid.replicas() + grid.replica(), world().rank());
    EXPECT_EQ(grid.is_first_stage(), grid.stage() == 0);
    EXPECT_EQ(grid.is_last_stage(), grid.stage() == stages - 1);
    EXPECT_EQ(&grid.world(), &topology);
  }
}

TEST(Grid, GroupsAreThoseOfTheStageAndOfTheReplica) {
  const Topology topology(world());
  for (const int stages : stage_counts()) {
    const Grid grid(topology, stages);
    const Communicator& stage = grid.of_stage().world();
    EXPECT_EQ(stage.size(), grid.replicas());
    EXPECT_EQ(stage.rank(), grid.replica());
    for (const int other : stage.all_gather(grid.stage())) EXPECT_EQ(other, grid.stage());
    if (stages == 1) {
      EXPECT_EQ(&grid.of_stage(), &topology) << "one stage costs nothing";
      continue;
    }
    EXPECT_EQ(grid.of_replica().size(), stages);
    EXPECT_EQ(grid.of_replica().rank(), grid.stage());
    for (const int other : grid.of_replica().all_gather(grid.replica())) EXPECT_EQ(other, grid.replica());
  }
}

TEST(Grid, RanksOfAStageShareANodeIfTheyDoInTheWorld) {
  for (const int ranks_per_node : {0, 1, 2, 3}) {
    const Topology topology(world(), ranks_per_node);
    const auto node_in_world = [&](int rank) { return ranks_per_node > 0 ? rank / ranks_per_node : 0; };
    for (const int stages : stage_counts()) {
      const Grid grid(topology, stages);
      int same_node = 0;
      for (int replica = 0; replica < grid.replicas(); ++replica) {
        const int rank = grid.stage() * grid.replicas() + replica;
        same_node += node_in_world(rank) == node_in_world(world().rank()) ? 1 : 0;
      }
      EXPECT_EQ(grid.of_stage().node().size(), same_node);
      EXPECT_EQ(grid.of_stage().is_leader(), grid.of_stage().node().rank() == 0);
    }
  }
}

TEST(Grid, SumsOverStagesAreOfOneReplicaAndTheSameBitsOnAllItsStages) {
  const Topology topology(world());
  for (const int stages : stage_counts()) {
    const Grid grid(topology, stages);
    std::vector<double> numbers = {1.0 / (3 + world().rank()), 1.0};
    double expected = 0.0;
    for (int stage = 0; stage < stages; ++stage) {
      expected += 1.0 / (3 + stage * grid.replicas() + grid.replica());
    }
    grid.sum_over_stages(numbers);
    EXPECT_EQ(numbers, (std::vector<double>{expected, static_cast<double>(stages)}));
  }
}

TEST(Communicator, GatherAndScatterDivideAnArrayOfUnequalPieces) {
  const auto rank = static_cast<std::size_t>(world().rank()), size = static_cast<std::size_t>(world().size());
  const std::size_t total = size * (size + 1) / 2;
  for (int root = 0; root < world().size(); ++root) {
    const bool here = world().rank() == root;
    std::vector<float> mine(rank + 1, static_cast<float>(rank)), all(here ? total : 0);
    world().gather(mine, all, root);
    for (std::size_t r = 0, i = 0; here && r < size; ++r) {
      for (std::size_t n = 0; n <= r; ++n) EXPECT_EQ(all[i++], static_cast<float>(r));
    }
    for (float& number : all) number += 10.0F;
    world().scatter(all, mine, root);
    EXPECT_EQ(mine, std::vector<float>(rank + 1, static_cast<float>(rank) + 10.0F));
  }
}

}  // namespace
}  // namespace fcmnist::comm
