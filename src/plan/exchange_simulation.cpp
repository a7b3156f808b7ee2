#include "plan/exchange_simulation.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "comm/circulant_allreduce.hpp"
#include "comm/cross_node_sum.hpp"

namespace fcmnist::plan {

namespace {

/// A sum that is under way.
struct Sum {
  std::size_t part = 0;
  int rounds_done = 0;
  double ready_s = 0.0;  ///< when its next round can begin
};

/// The parts of an array that a node sends in each round of a sum: in the reduce-scatter half of what it cares for, and in the
/// all-gather the same back (comm::CirculantAllreduce).
std::vector<double> shares_of_rounds(int nodes) {
  std::vector<double> shares;
  for (int left = nodes; left > 1; left = (left + 1) / 2) {
    shares.push_back(static_cast<double>(left / 2) / nodes);
  }
  const std::size_t half = shares.size();
  for (std::size_t i = 0; i < half; ++i) shares.push_back(shares[half - 1 - i]);
  return shares;
}

}  // namespace

double simulate_exchange(std::span<const double> written_s, std::span<const double> bytes, int nodes,
                         const LinkRate& link) {
  if (nodes == 1 || written_s.empty()) return 0.0;
  const auto sums_at_once = static_cast<std::size_t>(comm::sums_at_once(nodes));
  const std::vector<double> shares = shares_of_rounds(nodes);
  // During the backward pass the sender looks for messages only when it has written a part.
  const auto noticed_s = [&](double arrived_s) {
    const auto look = std::ranges::lower_bound(written_s, arrived_s);
    return look == written_s.end() ? std::max(arrived_s, std::min(0.0, written_s.back())) : *look;
  };
  std::vector<Sum> under_way;
  std::size_t begun = 0;
  double wire_free_s = written_s.front(), slot_free_s = written_s.front(), done_s = 0.0;
  while (begun < written_s.size() || !under_way.empty()) {
    while (begun < written_s.size() && under_way.size() < sums_at_once) {
      under_way.push_back({begun, 0, std::max(written_s[begun], slot_free_s)});
      ++begun;
    }
    const auto next = std::ranges::min_element(under_way, {}, &Sum::ready_s);
    const double sent_bytes = shares[static_cast<std::size_t>(next->rounds_done)] * bytes[next->part];
    wire_free_s = std::max(wire_free_s, next->ready_s) + sent_bytes / link.bytes_per_s;
    next->ready_s = noticed_s(wire_free_s + link.latency_s);
    if (++next->rounds_done < static_cast<int>(shares.size())) continue;
    slot_free_s = next->ready_s;
    done_s = std::max(done_s, slot_free_s);
    under_way.erase(next);
  }
  return done_s;
}

}  // namespace fcmnist::plan
