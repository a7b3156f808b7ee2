#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace fcmnist {

/// The limits of this process that forbid `bytes` more of memory, such as "ulimit -v (RLIMIT_AS) is 614 MB, 590 MB
/// are in use". If none of them does, those that are set; or that none is.
std::string memory_limits_text(std::size_t bytes);

/// For the beginning of a process: if its address space is limited, all threads allocate from one heap. By itself
/// glibc takes 64 MB to 128 MB of address space for each thread, at moments that nobody foresees.
void spare_address_space();

/// Whether this process may have `bytes` more of memory in one piece. The pages are not touched.
bool can_allocate(std::size_t bytes);
/// The same for memory that it shares with other processes, which RLIMIT_DATA does not count.
bool can_share(std::size_t bytes);

/// The error of a process that got no memory: `what` failed, and which limits there are.
///   bytes  what was needed, if it is known
CommError out_of_memory(std::string_view what, std::size_t bytes = 0);

}  // namespace fcmnist
