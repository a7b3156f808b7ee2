// Counts the bytes that are sent. The profiling interface of MPI calls our MPI_Isend in place of its own.

#include <gtest/gtest.h>
#include <mpi.h>

#include <algorithm>
#include <tuple>

#include "comm/gradient_exchange.hpp"
#include "support/mpi_test.hpp"

namespace {
std::int64_t bytes_sent = 0;
}  // namespace

int MPI_Isend(const void* buffer, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request* request) {
  int size = 0;
  PMPI_Type_size(type, &size);
  bytes_sent += static_cast<std::int64_t>(count) * size;
  return PMPI_Isend(buffer, count, type, to, tag, comm, request);
}

namespace fcmnist::comm {
namespace {

using test::world;

/// The parameters are the ranks per node, and how many of them send.
class BytesSent : public testing::TestWithParam<std::tuple<int, int>> {
 protected:
  template <class Number>
  void expect_what_was_foretold(WireType wire) {
    const Topology topology(world(), std::get<0>(GetParam()));
    CommOptions options;
    options.exchange_streams = std::get<1>(GetParam());
    options.wire_type = wire;
    Layout layout;
    layout.add("wide", 61, 1'009);
    layout.add("narrow", 1, 5);  // fewer numbers than there are nodes in the largest world
    std::vector<Range> parts;
    for (const Slot& slot : layout.slots()) parts.push_back({slot.offset, slot.offset + slot.count()});
    GradientExchange<Number> exchange(topology, layout, parts, 1, options, true);

    bytes_sent = 0;
    const double small = 0.0;
    exchange.begin({&small, 1});
    for (std::size_t p = 0; p < parts.size(); ++p) exchange.post();
    exchange.wait_for_node();
    exchange.finish();
    std::int64_t by_node = bytes_sent;
    topology.node().sum({&by_node, 1});

    const auto place =
        static_cast<int>(topology.node().max(topology.is_leader() ? topology.peers().rank() : 0));
    const std::size_t of_small = allreduce_bytes_sent(1, topology.node_count(), place, sizeof(double));
    EXPECT_EQ(static_cast<std::size_t>(by_node),
              of_small + bytes_sent_between_nodes(parts, topology.node_count(), place,
                                                  wire_number_bytes(wire, sizeof(Number))));
    exchange.publish();
  }
};

TEST_P(BytesSent, FloatsAreSentAsForetold) { expect_what_was_foretold<float>(WireType::float32); }
TEST_P(BytesSent, HalvesAreSentAsForetold) { expect_what_was_foretold<float>(WireType::bfloat16); }
TEST_P(BytesSent, IntegersAreSentAsForetold) { expect_what_was_foretold<std::int64_t>(WireType::float32); }

INSTANTIATE_TEST_SUITE_P(RanksPerNode, BytesSent,
                         testing::Combine(testing::Values(0, 1, 2, 3), testing::Values(1, 2)));

}  // namespace
}  // namespace fcmnist::comm
