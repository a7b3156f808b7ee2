#include "comm/node_barrier.hpp"

#include <fmt/format.h>

#include "core/error.hpp"

namespace fcmnist::comm {

namespace {

CommError late_rank(int world_rank, double stall_timeout_s) {
  return CommError(fmt::format("rank {} has not arrived for {:.0f} s (runconfig.stall_timeout)", world_rank,
                               stall_timeout_s),
                   "the rank has died, is stopped, or its node is overloaded");
}

}  // namespace

void NodeBarrier::wait() {
  arrivals_.set(0, ++count_);
  for (int rank = 0; rank < topology_->node().size(); ++rank) {
    patience_.until([&] { return arrivals_.reached(rank, 0, count_); },
                    [&] { return late_rank(topology_->world_rank(rank), patience_.stall_timeout_s()); });
  }
}

}  // namespace fcmnist::comm
