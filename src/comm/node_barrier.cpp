#include "comm/node_barrier.hpp"

namespace fcmnist::comm {

void NodeBarrier::wait() {
  arrivals_.set(0, ++count_);
  for (int rank = 0; rank < topology_->node().size(); ++rank) {
    patience_.until([&] { return arrivals_.reached(rank, 0, count_); });
  }
}

}  // namespace fcmnist::comm
