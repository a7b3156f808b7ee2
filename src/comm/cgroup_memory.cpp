#include "comm/cgroup_memory.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fcmnist::comm {

namespace fs = std::filesystem;

namespace {

/// Where the groups of one version lie, and which file of a group has its limit.
struct Hierarchy {
  fs::path mount;
  fs::path mounted_group;  ///< the group that is seen at the mount; in a container not "/"
  std::string controllers;
  const char* limit_file = "";
};

bool names(std::string_view list, std::string_view name) {
  const std::string all = "," + std::string(list) + ",";
  return all.find("," + std::string(name) + ",") != std::string::npos;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream text(line);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

/// From /proc/self/mountinfo, see proc(5): "36 35 98:0 /group /mount options [more...] - type source options".
std::vector<Hierarchy> mounted_hierarchies(const fs::path& root) {
  std::ifstream file(root / "proc/self/mountinfo");
  std::vector<Hierarchy> found;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = words_of(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (dash - words.begin() < 5 || words.end() - dash < 4) continue;
    const std::string& type = dash[1];
    const std::string& options = dash[3];
    const fs::path mount = root / fs::path(words[4]).relative_path();
    if (type == "cgroup2") found.push_back({mount, words[3], "", "memory.max"});
    if (type == "cgroup" && names(options, "memory"))
      found.push_back({mount, words[3], "memory", "memory.limit_in_bytes"});
  }
  return found;
}

/// The group of this process. From /proc/self/cgroup, see cgroups(7): "4:cpu,memory:/group"; of version 2,
/// "0::/group".
std::optional<fs::path> group_in(const Hierarchy& hierarchy, const fs::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_ours =
        hierarchy.controllers.empty() ? controllers.empty() : names(controllers, hierarchy.controllers);
    if (is_ours) return fs::path(line.substr(second + 1)).lexically_normal();
  }
  return std::nullopt;
}

/// No limit is "max" in version 2, and in version 1 a number that no machine has.
std::optional<std::size_t> limit_of(const fs::path& group, const char* limit_file) {
  constexpr std::size_t unlimited = std::size_t{1} << 60;
  std::ifstream file(group / limit_file);
  std::size_t bytes = 0;
  return file >> bytes && bytes < unlimited ? std::optional(bytes) : std::nullopt;
}

/// `group` as it is seen from the mount. In a container that has a view of its own it may be the mount itself.
fs::path below_mount(const fs::path& group, const fs::path& mounted_group) {
  const fs::path relative = group.lexically_relative(mounted_group);
  const bool is_below = !relative.empty() && *relative.begin() != "..";
  return is_below ? relative : group.relative_path();
}

}  // namespace

std::optional<std::size_t> cgroup_memory_limit(const fs::path& root) {
  std::optional<std::size_t> least;
  for (const Hierarchy& hierarchy : mounted_hierarchies(root)) {
    const auto group = group_in(hierarchy, root);
    if (!group) continue;
    fs::path here = below_mount(*group, hierarchy.mounted_group);
    for (bool is_top = false; !is_top; here = here.parent_path()) {
      is_top = here.empty() || here == ".";
      const auto limit = limit_of(is_top ? hierarchy.mount : hierarchy.mount / here, hierarchy.limit_file);
      if (limit) least = std::min(least.value_or(*limit), *limit);
    }
  }
  return least;
}

}  // namespace fcmnist::comm
