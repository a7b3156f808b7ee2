#pragma once

namespace fcmnist::comm {

/// The number type in which nodes send gradients to each other.
enum class WireType { float32, bfloat16 };

struct CommOptions {
  /// A wait for another rank may last this many seconds. A longer one ends the run with an error that names
  /// the rank, and with exit code 5. Where a rank may work for a long time (long_work_s), the timeout begins
  /// after this time.
  double stall_timeout_s = 300;
  /// How many ranks of each node send gradients to other nodes at the same time. They are at most as many as
  /// the smallest node has ranks. The bits of a run on several nodes depend on this number.
  int exchange_streams = 1;
  WireType wire_type = WireType::float32;

  bool operator==(const CommOptions&) const = default;
};

}  // namespace fcmnist::comm
