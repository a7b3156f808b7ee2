#include "comm/topology.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "core/error.hpp"
#include "core/share.hpp"

namespace fcmnist::comm {

namespace {

Communicator node_of(const Communicator& world, int ranks_per_node) {
  return ranks_per_node > 0 ? world.split(world.rank() / ranks_per_node) : world.split_by_node();
}

std::vector<int> bound_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "unknown";
}

struct NodeUse {
  std::set<int> cores;
  int ranks = 0;
  std::map<std::vector<int>, int> ranks_bound_to;
  std::string host;
};

std::map<int, NodeUse> use_by_node(std::span<const RankPlacement> ranks) {
  std::map<int, NodeUse> nodes;
  for (const RankPlacement& rank : ranks) {
    NodeUse& node = nodes[rank.node];
    node.cores.insert(rank.cores.begin(), rank.cores.end());
    ++node.ranks;
    ++node.ranks_bound_to[rank.cores];
    node.host = rank.host;
  }
  return nodes;
}

/// "2" or "1 to 3"
std::string span_text(const std::map<int, NodeUse>& nodes, std::size_t (*value)(const NodeUse&)) {
  const auto less = [&](const auto& a, const auto& b) { return value(a.second) < value(b.second); };
  const auto [low, high] = std::minmax_element(nodes.begin(), nodes.end(), less);
  const std::size_t least = value(low->second), most = value(high->second);
  return least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
}

}  // namespace

Topology::Topology(const Communicator& world, int ranks_per_node)
    : Topology(world, node_of(world, ranks_per_node)) {}

Topology::Topology(const Topology& whole, const Communicator& part, int color)
    : Topology(part, whole.node().split(color)) {}

Topology::Topology(const Communicator& world, Communicator node)
    : world_(&world),
      node_(std::move(node)),
      peers_(world.split(node_.rank())),
      smallest_node_(static_cast<int>(world.min(node_.size()))),
      world_ranks_(node_.all_gather(world.rank())) {
  std::int64_t leaders[] = {node_.rank() == 0 ? 1 : 0};
  world.sum(leaders);
  node_count_ = static_cast<int>(leaders[0]);
}

std::vector<RankPlacement> gather_placement(const Topology& topology) {
  const std::vector<int> cores = bound_cores();
  const std::string mine =
      fmt::format("{} {} {}", host_name(), topology.world_rank(0), fmt::join(cores, " "));
  std::vector<RankPlacement> ranks;
  std::map<int, int> node_of_leader;
  for (const std::string& text : topology.world().all_gather(mine)) {
    std::istringstream in(text);
    RankPlacement rank;
    int leader = 0;
    in >> rank.host >> leader;
    rank.node = node_of_leader.try_emplace(leader, static_cast<int>(node_of_leader.size())).first->second;
    for (int core = 0; in >> core;) rank.cores.push_back(core);
    ranks.push_back(std::move(rank));
  }
  return ranks;
}

std::vector<RankPlacement> planned_placement(int ranks, int nodes) {
  const std::vector<int> cores = bound_cores();
  std::vector<RankPlacement> placement;
  for (int node = 0; node < nodes; ++node) {
    const Range share = share_of(static_cast<std::size_t>(ranks), static_cast<std::size_t>(nodes),
                                 static_cast<std::size_t>(node));
    placement.insert(placement.end(), share.size(), {fmt::format("planned node {}", node), node, cores});
  }
  return placement;
}

std::vector<std::string> placement_warnings(std::span<const RankPlacement> ranks, int threads_per_rank) {
  std::vector<std::string> warnings;
  for (const auto& [index, node] : use_by_node(ranks)) {
    const auto threads = static_cast<std::size_t>(node.ranks) * static_cast<std::size_t>(threads_per_rank);
    if (threads > node.cores.size()) {
      warnings.push_back(fmt::format(
          "{}: {} ranks x {} threads on {} cores: ranks wait for each other's turns; start at most {} ranks "
          "here",
          node.host, node.ranks, threads_per_rank, node.cores.size(),
          std::max<std::size_t>(node.cores.size() / static_cast<std::size_t>(threads_per_rank), 1)));
      continue;
    }
    for (const auto& [cores, count] : node.ranks_bound_to) {
      if (static_cast<std::size_t>(count) * static_cast<std::size_t>(threads_per_rank) <= cores.size())
        continue;
      warnings.push_back(
          fmt::format("{}: {} ranks are bound to the same core(s) {}, others are idle; HINT: mpirun "
                      "--bind-to core, or --bind-to "
                      "none when several jobs share the node",
                      node.host, count, fmt::join(cores, ",")));
    }
  }
  return warnings;
}

std::string describe_placement(std::span<const RankPlacement> ranks, int threads_per_rank) {
  const auto nodes = use_by_node(ranks);
  return fmt::format("{} rank{} on {} node{} ({} per node), {} core(s) per node, {} BLAS thread{} per rank",
                     ranks.size(), ranks.size() == 1 ? "" : "s", nodes.size(), nodes.size() == 1 ? "" : "s",
                     span_text(nodes, [](const NodeUse& n) { return static_cast<std::size_t>(n.ranks); }),
                     span_text(nodes, [](const NodeUse& n) { return n.cores.size(); }), threads_per_rank,
                     threads_per_rank == 1 ? "" : "s");
}

double threads_per_core(std::span<const RankPlacement> ranks, int threads_per_rank) {
  double most = 0.0;
  for (const auto& [index, node] : use_by_node(ranks)) {
    const auto cores = static_cast<double>(std::max<std::size_t>(node.cores.size(), 1));
    most = std::max(most, static_cast<double>(node.ranks) * threads_per_rank / cores);
  }
  return most;
}

bool oversubscribed(std::span<const RankPlacement> ranks) { return threads_per_core(ranks, 1) > 1.0; }

namespace {

constexpr const char* window_directory = "/dev/shm";  // where Open MPI puts windows shared by several ranks

}  // namespace

std::optional<std::size_t> free_shared_memory() {
  struct statvfs file_system = {};
  if (statvfs(window_directory, &file_system) != 0) return std::nullopt;
  return file_system.f_bavail * file_system.f_frsize;
}

std::size_t host_memory() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void check_shared_memory(const Topology& topology, std::size_t my_bytes) {
  std::int64_t needed[] = {static_cast<std::int64_t>(my_bytes)};
  topology.node().sum(needed);
  collectively(topology.world(), [&] {
    const auto available = free_shared_memory();
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
