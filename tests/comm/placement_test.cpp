#include "comm/placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace fcmnist::comm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Placement, OneCoreForEachThreadIsFine) {
  const std::vector<RankPlacement> bound = {{"a", 0, {0}}, {"a", 0, {1}}, {"b", 1, {0}}, {"b", 1, {1}}};
  EXPECT_THAT(placement_warnings(bound, 1), IsEmpty());
  EXPECT_FALSE(oversubscribed(bound));
  const std::vector<RankPlacement> unbound = {{"a", 0, {0, 1, 2, 3}}, {"a", 0, {0, 1, 2, 3}}};
  EXPECT_THAT(placement_warnings(unbound, 2), IsEmpty());
}

TEST(Placement, MoreThreadsThanCoresIsSaidForTheNodeThatHasThem) {
  const std::vector<RankPlacement> ranks = {
      {"a", 0, {0, 1}}, {"a", 0, {0, 1}}, {"b", 1, {0, 1}}, {"b", 1, {0, 1}}, {"b", 1, {0, 1}}};
  EXPECT_THAT(placement_warnings(ranks, 1), ElementsAre(HasSubstr("b: 3 ranks x 1 thread on 2 cores")));
  EXPECT_TRUE(oversubscribed(ranks));
  EXPECT_THAT(placement_warnings(ranks, 2), testing::SizeIs(2));
}

TEST(Placement, RanksBoundToOneCoreWhileOthersAreIdleIsSaid) {
  const std::vector<RankPlacement> ranks = {{"a", 0, {0}}, {"a", 0, {0}}, {"a", 0, {1, 2, 3}}};
  EXPECT_THAT(placement_warnings(ranks, 1),
              ElementsAre(HasSubstr("2 ranks are bound to the same core(s) 0")));
}

TEST(Placement, AVariableThatBindsRanksBehindTheLauncherIsNamed) {
  for (const char* name : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"})
    ::unsetenv(name);
  EXPECT_EQ(openmp_binding(), "");
  ::setenv("OMP_PROC_BIND", "true", 1);
  EXPECT_EQ(openmp_binding(), "OMP_PROC_BIND=true");
  ::unsetenv("OMP_PROC_BIND");
}

TEST(Placement, IsDescribedInOneLine) {
  const std::vector<RankPlacement> ranks = {{"a", 0, {0}}, {"a", 0, {1}}, {"b", 1, {0}}};
  EXPECT_EQ(describe_placement(ranks, 1),
            "3 ranks on 2 nodes (1 to 2 per node), 1 to 2 core(s) per node, 1 BLAS thread per rank");
}

TEST(Placement, OfAPlannedWorldDealsRanksToNodesInRuns) {
  const auto nodes_of = [](int ranks, int nodes) {
    std::vector<int> found;
    for (const RankPlacement& rank : planned_placement(ranks, nodes)) found.push_back(rank.node);
    return found;
  };
  EXPECT_THAT(nodes_of(4, 2), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(nodes_of(5, 3), ElementsAre(0, 1, 1, 2, 2));
  EXPECT_THAT(nodes_of(2, 2), ElementsAre(0, 1));
  EXPECT_EQ(planned_placement(3, 1)[2].cores, planned_placement(1, 1)[0].cores);
  EXPECT_FALSE(planned_placement(1, 1)[0].cores.empty());
}

TEST(Placement, ThreadsPerCoreAreThoseOfTheFullestNode) {
  const std::vector<RankPlacement> ranks = {
      {"a", 0, {0, 1}}, {"b", 1, {0, 1}}, {"b", 1, {0, 1}}, {"b", 1, {0, 1}}};
  EXPECT_DOUBLE_EQ(threads_per_core(ranks, 1), 1.5);
  EXPECT_DOUBLE_EQ(threads_per_core(ranks, 2), 3.0);
}

}  // namespace
}  // namespace fcmnist::comm
