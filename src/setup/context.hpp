#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/grid.hpp"
#include "comm/session.hpp"
#include "comm/topology.hpp"
#include "config/command_line.hpp"
#include "config/run_config.hpp"
#include "core/log.hpp"
#include "store/manifest.hpp"

namespace fcmnist::setup {

/// What every mode that uses MPI starts from. Collective to make; all ranks throw the same errors.
struct RunContext {
  RunContext(const comm::Session& session, const config::CommandLine& arguments, double started_s);

  const config::CommandLine* arguments;
  double started_s;             ///< when the program started, by comm::now_s()
  std::shared_ptr<Logger> log;  ///< silent on every rank but 0
  comm::Topology topology;      ///< of the world
  config::RunConfig config;
  std::string config_yaml;                     ///< the resolved configuration
  std::vector<comm::RankPlacement> placement;  ///< with --plan_ranks, of the world that is planned
  int stages = 1;
  bool give_way = false;  ///< more ranks than cores
  store::Manifest manifest;

  [[nodiscard]] const comm::Communicator& world() const { return topology.world(); }
  /// Of this world, also if another one is planned; that has ranks() in replicas() x stages.
  [[nodiscard]] const comm::Grid& grid() const { return *grid_; }
  [[nodiscard]] bool is_planned() const { return arguments->plan_ranks > 0; }
  [[nodiscard]] int ranks() const { return static_cast<int>(placement.size()); }
  [[nodiscard]] int replicas() const { return ranks() / stages; }
  [[nodiscard]] bool is_root() const { return world().rank() == 0; }

 private:
  std::optional<comm::Grid> grid_;  ///< there once the configuration is known
};

/// Throws UsageError when this process is one of several tasks of a Slurm step, but MPI has not joined them.
void check_joined(int world_size);

/// Runs `action` on rank 0 only; its error is thrown on every rank. Collective. `work_s` as for
/// comm::collectively.
void on_root(const RunContext& context, const std::function<void()>& action, double work_s = 0.0);

}  // namespace fcmnist::setup
