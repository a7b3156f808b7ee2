#pragma once

#include <optional>
#include <span>

#include "comm/communicator.hpp"
#include "comm/topology.hpp"

namespace fcmnist::comm {

/// The ranks of a world as replicas x stages. A stage holds a run of the model's layers, and a replica is one
/// whole model. The replicas of a stage add up its gradient. The stages of a replica pass on activations.
///
/// With R replicas, rank r is replica r mod R of stage r / R. So the replicas of a stage are neighbours and
/// share a node where possible, for they share windows and add up gradients. World rank 0 is replica 0 of
/// stage 0.
class Grid {
 public:
  /// Collective over the world. `world` must outlive the grid. `stages` must divide the number of ranks. A
  /// grid of one stage makes no communicator.
  explicit Grid(const Topology& world, int stages = 1);
  Grid(const Grid&) = delete;
  Grid& operator=(const Grid&) = delete;

  [[nodiscard]] int stages() const { return stages_; }
  [[nodiscard]] int replicas() const { return world_->world().size() / stages_; }
  [[nodiscard]] int stage() const { return world_->world().rank() / replicas(); }
  [[nodiscard]] int replica() const { return world_->world().rank() % replicas(); }
  [[nodiscard]] bool is_first_stage() const { return stage() == 0; }
  [[nodiscard]] bool is_last_stage() const { return stage() == stages_ - 1; }

  [[nodiscard]] const Topology& world() const { return *world_; }
  /// The ranks of this rank's stage. A rank's number in this group is its replica.
  [[nodiscard]] const Topology& of_stage() const { return stage_topology_ ? *stage_topology_ : *world_; }
  /// The ranks that hold the stages of this rank's replica. A rank's number in this group is its stage. The
  /// group exists only with several stages.
  [[nodiscard]] const Communicator& of_replica() const { return *replica_group_; }

  /// Adds the arrays of this replica's stages element by element, in place. All stages add in the order of
  /// the stages, so they get the same bits. Does nothing with one stage. Collective.
  void sum_over_stages(std::span<double> numbers) const;

 private:
  const Topology* world_;
  int stages_;
  std::optional<Communicator> stage_group_, replica_group_;  ///< They exist only with several stages.
  std::optional<Topology> stage_topology_;                   ///< It exists only with several stages.
};

}  // namespace fcmnist::comm
