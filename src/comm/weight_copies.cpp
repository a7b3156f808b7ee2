#include "comm/weight_copies.hpp"

#include <cstring>

namespace fcmnist::comm {

WeightCopies::WeightCopies(const Topology& topology, std::size_t numbers, std::size_t number_bytes)
    : topology_(&topology),
      number_bytes_(number_bytes),
      mine_(numbers * number_bytes),
      offered_(topology.node(), shared_bytes(topology.seat(), numbers, number_bytes)) {}

std::size_t WeightCopies::shared_bytes(const Seat& seat, std::size_t numbers, std::size_t number_bytes) {
  return seat.node_ranks > 1 ? numbers * number_bytes : 0;
}

void WeightCopies::offer(Range numbers) const {
  if (!is_shared()) return;
  const std::size_t begin = numbers.begin * number_bytes_;
  std::memcpy(offered_.data() + begin, mine_.data() + begin, numbers.size() * number_bytes_);
}

void WeightCopies::take(Range numbers) const {
  if (!is_shared()) return;
  const std::size_t begin = numbers.begin * number_bytes_;
  std::memcpy(mine_.data() + begin, offered_.data() + begin, numbers.size() * number_bytes_);
}

void WeightCopies::spread() const {
  const Range all{0, mine_.size() / number_bytes_};
  if (topology_->is_leader()) {
    topology_->peers().broadcast(std::span<std::byte>(mine_.data(), mine_.size()), 0);
    offer(all);
  }
  topology_->world().barrier();
  if (!topology_->is_leader()) take(all);
  topology_->world().barrier();
}

}  // namespace fcmnist::comm
