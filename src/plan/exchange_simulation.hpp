#pragma once

#include <span>

namespace fcmnist::plan {

/// How fast messages travel: a message of some bytes takes latency_s + bytes / bytes_per_s.
struct LinkRate {
  double bytes_per_s = 0.0;
  double latency_s = 0.0;
  [[nodiscard]] double seconds(double bytes) const { return latency_s + bytes / bytes_per_s; }
};

/// Seconds from the end of the backward pass until all parts of a gradient are summed over the nodes. As many
/// parts as comm::CrossNodeSum has under way at once share the wire. A sum goes round by round, and during the backward pass
/// a rank begins the next round only when it has written a part.
///   written_s  when each part is written: increasing, and at most 0, the end of the backward pass
///   bytes      of each part
double simulate_exchange(std::span<const double> written_s, std::span<const double> bytes, int nodes,
                         const LinkRate& link);

}  // namespace fcmnist::plan
