#pragma once

#include <span>
#include <string>
#include <vector>

#include "comm/topology.hpp"

namespace fcmnist::comm {

/// What one rank may use of its node.
struct RankPlacement {
  std::string host;
  int node = 0;  ///< number of the rank's node; nodes are numbered in the order of their lowest ranks
  std::vector<int> cores;  ///< the logical processors to which the rank is bound
};

/// The placement of every rank, in rank order. Collective over the world.
std::vector<RankPlacement> gather_placement(const Topology& topology);

/// The placement in a world that does not run: every node is like this host. The ranks are dealt to the nodes
/// in runs; the lengths of two runs differ by at most one rank.
///   node_cores  how many cores each node has; 0: as many as this host
std::vector<RankPlacement> planned_placement(int ranks, int nodes, int node_cores = 0);

/// What is wrong with a placement, one line for each fault: a node has more threads than cores, or several
/// ranks are bound to one core.
std::vector<std::string> placement_warnings(std::span<const RankPlacement> ranks, int threads_per_rank);

/// "OMP_PROC_BIND=true": the variable by which OpenMP's library, which oneDNN loads, binds this process to cores
/// before main(), each process to the same ones. Empty if none is set.
std::string openmp_binding();

/// "4 ranks on 2 nodes (2 per node), 2 core(s) per node, 1 BLAS thread per rank"
std::string describe_placement(std::span<const RankPlacement> ranks, int threads_per_rank);

/// Threads per core on the node where this number is highest.
double threads_per_core(std::span<const RankPlacement> ranks, int threads_per_rank);

/// True when some node has more ranks than cores. A waiting rank should then give its core away at once.
bool oversubscribed(std::span<const RankPlacement> ranks);

}  // namespace fcmnist::comm
