#pragma once

#include <functional>

namespace fcmnist::sim {

/// The network of a simulated cluster: a fat tree that is nowhere narrower than at its leaves. Up to 16 nodes hang on one
/// switch; more have a second level of switches.
struct Network {
  double bytes_per_s = 0.0;  ///< of a node, in each direction
  double latency_s = 0.0;    ///< of the longest way between two nodes
};

/// Runs `rank_main` as an MPI program with one rank on each of `nodes` simulated nodes, all in this process and in turn.
/// Once in a process. Time passes in messages, in pass(), and where a rank that polls gives its core away.
///   poll_s  how long a rank takes to look once for messages
void run_cluster(int nodes, const Network& network, double poll_s, const std::function<void()>& rank_main);

/// Lets simulated time pass for the calling rank: it computes.
void pass(double seconds);

}  // namespace fcmnist::sim
