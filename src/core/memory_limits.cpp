#include "core/memory_limits.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <fstream>
#include <vector>

#include "core/text.hpp"

namespace fcmnist {

namespace {

struct Limit {
  int resource;
  const char* name;
  const char* counted_as;  ///< a field of /proc/self/status, in kB
};
constexpr Limit limits[] = {{RLIMIT_AS, "ulimit -v (RLIMIT_AS)", "VmSize:"},
                            {RLIMIT_DATA, "ulimit -d (RLIMIT_DATA)", "VmData:"}};

std::size_t bytes_in_use(std::string_view field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kilobytes = 0;
    if (word == field && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

/// With 2 the kernel grants no more than there is, to all processes together; see proc(5).
bool memory_is_rationed() {
  std::ifstream file("/proc/sys/vm/overcommit_memory");
  int mode = 0;
  return file >> mode && mode == 2;
}

bool can_map(std::size_t bytes, int sharing) {
  if (bytes == 0) return true;
  void* const place = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return false;
  munmap(place, bytes);
  return true;
}

}  // namespace

std::string memory_limits_text(std::size_t bytes) {
  std::vector<std::string> set, exceeded;
  for (const Limit& limit : limits) {
    rlimit found{};
    if (getrlimit(limit.resource, &found) != 0 || found.rlim_cur == RLIM_INFINITY) continue;
    const std::size_t used = bytes_in_use(limit.counted_as);
    set.push_back(
        fmt::format("{} is {}, {} are in use", limit.name, bytes_text(found.rlim_cur), bytes_text(used)));
    if (used + bytes > found.rlim_cur) exceeded.push_back(set.back());
  }
  if (memory_is_rationed()) {
    set.emplace_back(
        "vm.overcommit_memory is 2, so all processes together have no more than CommitLimit in "
        "/proc/meminfo");
  }
  if (set.empty()) return "neither ulimit -v (RLIMIT_AS) nor ulimit -d (RLIMIT_DATA) is set";
  return joined(exceeded.empty() ? set : exceeded, "; ");
}

void spare_address_space() {
  rlimit found{};
  if (getrlimit(RLIMIT_AS, &found) == 0 && found.rlim_cur != RLIM_INFINITY) mallopt(M_ARENA_MAX, 1);
}

bool can_allocate(std::size_t bytes) { return can_map(bytes, MAP_PRIVATE); }
bool can_share(std::size_t bytes) { return can_map(bytes, MAP_SHARED); }

CommError out_of_memory(std::string_view what, std::size_t bytes) {
  return CommError(fmt::format("{}: {}", what, memory_limits_text(bytes)),
                   "a higher limit (ulimit -v unlimited, ulimit -d unlimited; in a batch job, ask for more "
                   "memory), or fewer ranks on a node, a smaller microbatch");
}

}  // namespace fcmnist
