#include "sim/cluster.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <smpi/smpi.h>
#include <time.h>

#include <array>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

namespace fcmnist::sim {

namespace {

namespace sg = simgrid::s4u;

constexpr unsigned switch_ports = 16;

double poll_seconds = 0.0;

/// Returns as many hosts as nodes, or more.
std::vector<sg::Host*> make_fat_tree(unsigned nodes, const Network& network) {
  std::vector<sg::Host*> hosts;
  const auto make_host = [&hosts](sg::NetZone* zone, const std::vector<unsigned long>&, unsigned long id) {
    hosts.push_back(zone->create_host(fmt::format("node-{}", id), 1e9));
    return std::make_pair(hosts.back()->get_netpoint(),
                          static_cast<simgrid::kernel::routing::NetPoint*>(nullptr));
  };
  const bool one_switch = nodes <= switch_ports;
  const unsigned leaf_switches = (nodes + switch_ports - 1) / switch_ports;
  const auto tree = one_switch
                        ? sg::FatTreeParams(1, {nodes}, {1}, {1})
                        : sg::FatTreeParams(2, {switch_ports, leaf_switches}, {1, switch_ports}, {1, 1});
  const double links = one_switch ? 2.0 : 4.0;  // on the longest way
  sg::create_fatTree_zone("cluster", nullptr, tree, sg::ClusterCallbacks(make_host), network.bytes_per_s,
                          network.latency_s / links, sg::Link::SharingPolicy::SPLITDUPLEX)
      ->seal();
  return hosts;
}

/// A message takes its latency and its bytes, and shares each link with the others. Nothing but that: no share of the
/// bandwidth for headers, no slow start, no time in MPI itself. It begins when both sides have posted it.
constexpr const char* settings[] = {
    "network/model:CM02", "network/crosstraffic:0", "network/TCP-gamma:0", "smpi/send-is-detached-thresh:0",
    // Only pass() takes time, not what this process computes.
    "smpi/simulate-computation:no", "smpi/test:0", "smpi/iprobe:0", "smpi/grow-injected-times:no"};

}  // namespace

void run_cluster(int nodes, const Network& network, double poll_s, const std::function<void()>& rank_main) {
  poll_seconds = poll_s;
  std::vector<std::string> words = {"fcmnist_simulate", "--log=root.thres:error"};
  for (const char* setting : settings) words.push_back(fmt::format("--cfg={}", setting));
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int count = static_cast<int>(words.size());
  sg::Engine engine(&count, arguments.data());
  SMPI_init();
  const std::vector<sg::Host*> hosts = make_fat_tree(static_cast<unsigned>(nodes), network);
  SMPI_app_instance_register("ranks", nullptr, nodes);
  for (int rank = 0; rank < nodes; ++rank) {
    const sg::ActorPtr actor =
        sg::Actor::init(fmt::format("rank-{}", rank), hosts[static_cast<std::size_t>(rank)]);
    actor->set_property("instance_id", "ranks");
    actor->set_property("rank", std::to_string(rank));
    actor->start(rank_main);
  }
  engine.run();
  SMPI_finalize();
}

void pass(double seconds) {
  if (seconds > 0.0) sg::this_actor::sleep_for(seconds);
}

}  // namespace fcmnist::sim

/// In place of the C library's. A rank that polls gives its core away between two looks (comm/polled_wait.hpp).
extern "C" int sched_yield() noexcept {
  fcmnist::sim::pass(fcmnist::sim::poll_seconds);
  return 0;
}

/// In place of the C library's: SimGrid asks for the time at each call of MPI, to count what a rank computes. Nothing is
/// computed here that counts, and a call of the real clock takes longer than the rest of a poll.
extern "C" int clock_gettime(clockid_t /*clock*/, timespec* time) noexcept {
  *time = {};
  return 0;
}
