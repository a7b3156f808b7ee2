#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "comm/topology.hpp"

namespace fcmnist::comm {

/// Bytes of shared memory that this host has left for windows. Nothing if this host cannot tell.
std::optional<std::size_t> free_shared_memory();

/// The memory that this host has for its ranks.
struct HostMemory {
  std::size_t bytes = 0;
  bool is_cgroup_limit = false;  ///< else it is all that there is
};
HostMemory host_memory();
/// "16.8 GB", or "2.00 GB (the memory limit of its cgroup)".
std::string to_string(const HostMemory& memory);

/// Throws CommError when the shared memory of some node cannot hold what its ranks are about to allocate, or a limit
/// forbids a rank to map it.
///   my_bytes  bytes that this rank is about to allocate
/// Collective over the world.
void check_shared_memory(const Topology& topology, std::size_t my_bytes);

}  // namespace fcmnist::comm
