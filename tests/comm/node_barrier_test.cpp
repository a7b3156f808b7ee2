#include "comm/node_barrier.hpp"

#include <gtest/gtest.h>

#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;

TEST(NodeBarrier, WhatWasWrittenBeforeIsSeenAfter) {
  const Topology topology(world());
  const SharedWindow window(topology.node(), sizeof(int));
  const auto number = [&](int rank) -> int& { return *reinterpret_cast<int*>(window.segment(rank).data()); };
  NodeBarrier barrier(topology, PolledWait::in_step(world().stall_watch(), true));
  for (int round = 1; round <= 200; ++round) {
    number(world().rank()) = round;
    barrier.wait();
    for (int r = 0; r < world().size(); ++r) ASSERT_EQ(number(r), round);
    barrier.wait();
  }
}

}  // namespace
}  // namespace fcmnist::comm
