#pragma once

namespace fcmnist::comm {

/// What gradients are sent in from node to node.
enum class WireType { float32, bfloat16 };

struct CommOptions {
  /// Every wait for another rank that lasts longer than this ends the run with an error that names the rank,
  /// exit 5. Where a rank works long by right, it counts from the end of the time for that (long_work_s).
  double stall_timeout_s = 300;
  /// Ranks of each node that send gradients to other nodes at the same time, at most as many as the smallest
  /// node has. Part of what the bits of a run on several nodes depend on.
  int exchange_streams = 1;
  WireType wire_type = WireType::float32;

  bool operator==(const CommOptions&) const = default;
};

}  // namespace fcmnist::comm
