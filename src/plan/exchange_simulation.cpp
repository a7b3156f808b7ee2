#include "plan/exchange_simulation.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>

#include "comm/cross_node_sum.hpp"

namespace fcmnist::plan {

double simulate_exchange(std::span<const double> written_s, std::span<const double> bytes, int nodes,
                         const LinkRate& link) {
  const auto sums_at_once = static_cast<std::size_t>(comm::sums_at_once(nodes));
  if (nodes == 1 || written_s.empty()) return 0.0;
  const double latency_s = comm::allreduce_rounds(nodes) * link.latency_s;
  double wire_free_s = written_s.front();
  std::deque<double> done_s;  // when each of the sums that were started last is done
  for (std::size_t part = 0; part < written_s.size(); ++part) {
    const double start_s =
        done_s.size() < sums_at_once ? written_s[part] : std::max(written_s[part], done_s.front());
    const double sent_bytes = 2.0 * (nodes - 1) / nodes * bytes[part];
    wire_free_s = std::max(wire_free_s, start_s) + sent_bytes / link.bytes_per_s;
    if (done_s.size() == sums_at_once) done_s.pop_front();
    done_s.push_back(wire_free_s + latency_s);
  }
  return std::max(0.0, done_s.back());
}

}  // namespace fcmnist::plan
