#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/grid.hpp"
#include "comm/placement.hpp"
#include "comm/topology.hpp"
#include "config/command_line.hpp"
#include "config/run_config.hpp"
#include "core/log.hpp"
#include "setup/settings_file.hpp"
#include "store/manifest.hpp"

namespace fcmnist::setup {

class DataShelf;

/// What a run has in common with others of the same program.
struct Common {
  std::shared_ptr<Logger> log;           ///< where rank 0 logs; nullptr: to standard output
  const DataShelf* shelf = nullptr;      ///< data sets that are read already; nullptr: none
  std::optional<SettingsFile> settings;  ///< those of the program, which a trial does not look for again
  int runs_on_node = 1;                  ///< how many of them share the memory of a node
  /// > 0: training is validated and saved after this step, and then ends as if it had been stopped.
  std::int64_t pause_after_step = 0;
};

/// A group of ranks and what it was asked to do. Every mode that uses MPI starts from one, and nobody changes
/// it; what a training run makes of it is a Settled.
class Context {
 public:
  /// Reads the configuration, and says in the log what this is and where it runs. Collective; all ranks throw
  /// the same errors.
  ///   world      the ranks that work together: all ranks of the program, or a group of them
  ///   arguments  the same on all of them
  ///   started_s  when the program started, by comm::now_s()
  /// `world` must outlive it.
  Context(const comm::Communicator& world, const config::CommandLine& arguments, double started_s,
          Common common = {});

  [[nodiscard]] const comm::Communicator& world() const { return topology_.world(); }
  [[nodiscard]] const comm::Topology& topology() const { return topology_; }
  /// The grid of the ranks that are here, also if another world is planned. That one has ranks() in
  /// replicas() x stages().
  [[nodiscard]] const comm::Grid& grid() const { return *grid_; }
  [[nodiscard]] bool is_root() const { return world().rank() == 0; }

  /// With paths expanded. Its checkpoint_path is one file, or empty.
  [[nodiscard]] const config::CommandLine& arguments() const { return arguments_; }
  /// The checkpoints of an ensemble to evaluate, several, or none. On rank 0.
  [[nodiscard]] const std::vector<std::string>& ensemble() const { return ensemble_; }
  [[nodiscard]] bool is_ensemble() const { return is_ensemble_; }
  [[nodiscard]] const config::RunConfig& config() const { return config_; }  ///< as it was given
  [[nodiscard]] const std::optional<config::SweepOptions>& sweep() const { return sweep_; }
  /// The configuration's own text, and what it is called; empty if it is the built-in one.
  [[nodiscard]] const SettingsFile& settings_file() const { return settings_file_; }
  [[nodiscard]] const Common& common() const { return common_; }
  /// Whether rank 0 of this run has the terminal for itself.
  [[nodiscard]] bool has_terminal() const { return is_root() && common_.log == nullptr; }
  [[nodiscard]] double started_s() const { return started_s_; }
  [[nodiscard]] Logger& log() const { return *log_; }  ///< silent on every rank but 0
  /// Program, machine, world and seed.
  [[nodiscard]] const store::Manifest& manifest() const { return manifest_; }

  /// Whether --plan_ranks names a world that is not there. The four below are of that world, else of this one.
  [[nodiscard]] bool is_planned() const { return arguments_.plan_ranks > 0; }
  [[nodiscard]] const std::vector<comm::RankPlacement>& placement() const { return placement_; }
  [[nodiscard]] int ranks() const { return static_cast<int>(placement_.size()); }
  [[nodiscard]] int stages() const { return stages_; }
  [[nodiscard]] int replicas() const { return ranks() / stages_; }
  /// Whether a rank that waits should give its core to others at once, since there are more ranks than cores.
  [[nodiscard]] bool give_way() const { return comm::oversubscribed(placement_); }

 private:
  void find_checkpoints();

  config::CommandLine arguments_;
  std::vector<std::string> ensemble_;
  bool is_ensemble_ = false;
  double started_s_;
  Common common_;
  std::shared_ptr<Logger> log_;
  comm::Topology topology_;
  SettingsFile settings_file_;
  config::RunConfig config_;
  std::optional<config::SweepOptions> sweep_;
  std::vector<comm::RankPlacement> placement_;
  int stages_ = 1;
  std::optional<comm::Grid> grid_;  ///< made when the configuration is known
  store::Manifest manifest_;
};

/// Runs `action` on rank 0 of `world` only; its error is thrown on every rank. Collective. `work_s` as for
/// comm::collectively.
void on_root(const comm::Communicator& world, const std::function<void()>& action, double work_s = 0.0);

}  // namespace fcmnist::setup
