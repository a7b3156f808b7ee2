#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

namespace fcmnist::comm {

/// The bytes of memory that the control groups of this process allow, by version 1 or 2: the least limit of its
/// group and of those above. A process that goes beyond is killed. Nothing if there is no limit.
///   root  where /proc and the mounts are looked for; another one in tests
std::optional<std::size_t> cgroup_memory_limit(const std::filesystem::path& root = "/");

}  // namespace fcmnist::comm
