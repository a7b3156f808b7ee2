#include "comm/node_barrier.hpp"

#include <fmt/format.h>
#include <immintrin.h>
#include <sched.h>

#include <new>

#include "comm/stall_clock.hpp"
#include "core/error.hpp"

namespace fcmnist::comm {

NodeBarrier::NodeBarrier(const Topology& topology, double stall_timeout_s, bool give_way)
    : topology_(&topology),
      window_(topology.node(), 64),
      stall_timeout_s_(stall_timeout_s),
      spins_before_yield_(give_way ? 1 : 10'000) {
  new (window_.segment(topology.node().rank()).data()) Counter(0);
  topology.node().barrier();
}

NodeBarrier::Counter& NodeBarrier::arrivals(int node_rank) const {
  return *std::launder(reinterpret_cast<Counter*>(window_.segment(node_rank).data()));
}

void NodeBarrier::wait() {
  ++count_;
  arrivals(topology_->node().rank()).store(count_, std::memory_order_release);
  for (int rank = 0; rank < topology_->node().size(); ++rank) wait_for(rank);
}

void NodeBarrier::wait_for(int node_rank) {
  const Counter& other = arrivals(node_rank);
  const auto here = [&] { return other.load(std::memory_order_acquire) >= count_; };
  for (int spin = 0; spin < spins_before_yield_; ++spin) {
    if (here()) return;
    _mm_pause();
  }
  StallClock stall(stall_timeout_s_);
  while (!here()) {
    sched_yield();
    topology_->world().poll();
    if (stall.expired()) {
      throw CommError(fmt::format("rank {} has not arrived for {:.0f} s (runconfig.stall_timeout)",
                                  topology_->world_rank(node_rank), stall_timeout_s_),
                      "the rank has died, is stopped, or its node is overloaded");
    }
  }
}

}  // namespace fcmnist::comm
