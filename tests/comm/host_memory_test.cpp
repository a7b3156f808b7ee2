#include "comm/host_memory.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;

TEST(HostMemory, TooLittleSharedMemoryIsFoundBeforeAnythingIsAllocated) {
  const Topology topology(world());
  EXPECT_NO_THROW(check_shared_memory(topology, 1 << 20));
  if (world().size() == 1) return;  // the memory of a single rank is its own
  EXPECT_THROW(check_shared_memory(topology, std::size_t{1} << 50), Error);
}

TEST(HostMemory, OfThisHostIsSomething) { EXPECT_GT(host_memory().bytes, std::size_t{1} << 20); }

}  // namespace
}  // namespace fcmnist::comm
