#include "comm/node_barrier.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;

TEST(NodeBarrier, WhatWasWrittenBeforeIsSeenAfter) {
  const Topology topology(world());
  const SharedWindow window(topology.node(), sizeof(int));
  const auto number = [&](int rank) -> int& { return *reinterpret_cast<int*>(window.segment(rank).data()); };
  NodeBarrier barrier(topology, PolledWait(world(), 30.0, true));
  for (int round = 1; round <= 200; ++round) {
    number(world().rank()) = round;
    barrier.wait();
    for (int r = 0; r < world().size(); ++r) ASSERT_EQ(number(r), round);
    barrier.wait();
  }
}

TEST(NodeBarrier, NamesTheRankThatDoesNotCome) {
  const Topology topology(world());
  NodeBarrier barrier(topology, PolledWait(world(), 0.2, true));
  if (world().rank() != 1) {
    try {
      barrier.wait();
      FAIL() << "rank 1 did not come";
    } catch (const CommError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("rank 1 has not arrived"));
      EXPECT_EQ(error.code(), ExitCode::communication);
    }
  }
  world().barrier();
}

}  // namespace
}  // namespace fcmnist::comm
