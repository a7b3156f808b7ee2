#include "comm/placement.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <sstream>
#include <utility>

#include "core/host_name.hpp"
#include "core/share.hpp"
#include "core/text.hpp"

namespace fcmnist::comm {

namespace {

/// The logical processors to which this process is bound; none if this host cannot tell.
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

/// What all ranks of one node use together.
struct NodeUse {
  std::set<int> cores;  ///< the logical processors to which some rank is bound
  int ranks = 0;
  std::map<std::vector<int>, int> ranks_bound_to;  ///< for each set of cores: the number of ranks bound to it
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

/// The least and the greatest value over the nodes, as text.
std::string span_over_nodes(const std::map<int, NodeUse>& nodes, std::size_t (*value)(const NodeUse&)) {
  const auto less = [&](const auto& a, const auto& b) { return value(a.second) < value(b.second); };
  const auto [low, high] = std::minmax_element(nodes.begin(), nodes.end(), less);
  return span_text(value(low->second), value(high->second));
}

}  // namespace

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

std::vector<RankPlacement> planned_placement(int ranks, int nodes, int node_cores) {
  std::vector<int> cores = bound_cores();
  if (node_cores > 0) {
    cores.resize(static_cast<std::size_t>(node_cores));
    std::iota(cores.begin(), cores.end(), 0);
  }
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
          "{}: {} ranks x {} thread{} on {} core{}: ranks wait for each other's turns; start at most {} here",
          node.host, node.ranks, threads_per_rank, plural(static_cast<std::size_t>(threads_per_rank)),
          node.cores.size(), plural(node.cores.size()),
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

std::string openmp_binding() {
  for (const char* name : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return fmt::format("{}={}", name, value);
  }
  return {};
}

std::string describe_placement(std::span<const RankPlacement> ranks, int threads_per_rank) {
  const auto nodes = use_by_node(ranks);
  return fmt::format(
      "{} rank{} on {} node{} ({} per node), {} core(s) per node, {} BLAS thread{} per rank", ranks.size(),
      plural(ranks.size()), nodes.size(), plural(nodes.size()),
      span_over_nodes(nodes, [](const NodeUse& n) { return static_cast<std::size_t>(n.ranks); }),
      span_over_nodes(nodes, [](const NodeUse& n) { return n.cores.size(); }), threads_per_rank,
      plural(static_cast<std::size_t>(threads_per_rank)));
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

}  // namespace fcmnist::comm
