#include "comm/host_memory.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>

#include "comm/cgroup_memory.hpp"
#include "core/error.hpp"
#include "core/host_name.hpp"
#include "core/memory_limits.hpp"
#include "core/text.hpp"

namespace fcmnist::comm {

namespace {

constexpr const char* window_directory = "/dev/shm";  // Open MPI puts shared windows here

}  // namespace

std::optional<std::size_t> free_shared_memory() {
  struct statvfs file_system = {};
  if (statvfs(window_directory, &file_system) != 0) return std::nullopt;
  return file_system.f_bavail * file_system.f_frsize;
}

HostMemory host_memory() {
  const auto pages = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES));
  const std::size_t bytes = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t limit = cgroup_memory_limit().value_or(bytes);
  return limit < bytes ? HostMemory{limit, true} : HostMemory{bytes, false};
}

std::string to_string(const HostMemory& memory) {
  return bytes_text(memory.bytes) + (memory.is_cgroup_limit ? " (the memory limit of its cgroup)" : "");
}

void check_shared_memory(const Topology& topology, std::size_t my_bytes) {
  std::int64_t needed[] = {static_cast<std::int64_t>(my_bytes)};
  topology.node().sum(needed);
  collectively(topology.world(), [&] {
    const auto available = free_shared_memory();
    // Open MPI 4.1 may crash when it cannot map a window.
    const auto node_bytes = static_cast<std::size_t>(needed[0]);
    if (!can_share(node_bytes)) {
      throw out_of_memory(fmt::format("no address space for shared windows of {}", bytes_text(node_bytes)),
                          node_bytes);
    }
    if (topology.node().size() == 1 || !available) return;
    if (static_cast<std::int64_t>(*available) >= needed[0]) return;
    throw CommError(
        fmt::format("{} on {}: {:.1f} MB free, {:.1f} MB needed for the shared windows of {} ranks",
                    window_directory, host_name(), static_cast<double>(*available) / 1e6,
                    static_cast<double>(needed[0]) / 1e6, topology.node().size()),
        fmt::format("enlarge it (mount -o remount,size=... {}; docker run --shm-size), or remove what dead "
                    "runs left there",
                    window_directory));
  });
}

}  // namespace fcmnist::comm
