#pragma once

#include <cstddef>
#include <optional>

#include "comm/topology.hpp"

namespace fcmnist::comm {

/// Bytes of shared memory that this host has left for windows. Nothing if this host cannot tell.
std::optional<std::size_t> free_shared_memory();

/// Bytes of memory that this host has.
std::size_t host_memory();

/// Throws CommError when the shared memory of some node cannot hold what its ranks are about to allocate.
///   my_bytes  bytes that this rank is about to allocate
/// Collective over the world.
void check_shared_memory(const Topology& topology, std::size_t my_bytes);

}  // namespace fcmnist::comm
