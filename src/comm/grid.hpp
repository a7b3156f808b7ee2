#pragma once

#include <optional>
#include <span>

#include "comm/communicator.hpp"
#include "comm/topology.hpp"

namespace fcmnist::comm {

/// The ranks of a world as replicas x stages. A stage holds a run of the model's layers and a replica is one
/// whole model; the replicas of a stage add up its gradient, the stages of a replica pass on activations.
///
/// Rank r is replica r mod R of stage r / R, so that the replicas of a stage, who share windows and add up
/// gradients, are neighbours and share a node first. World rank 0 is replica 0 of stage 0.
class Grid {
 public:
  /// Collective over the world. `world` must outlive it; `stages` divides its ranks. One stage costs nothing.
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
  /// The ranks of this rank's stage; a rank's number there is its replica.
  [[nodiscard]] const Topology& of_stage() const { return stage_topology_ ? *stage_topology_ : *world_; }
  /// The ranks that hold the stages of this rank's replica; a rank's number there is its stage. Only with
  /// several stages.
  [[nodiscard]] const Communicator& of_replica() const { return *replica_group_; }

  /// Element by element over the stages of this replica, in place and in the order of the stages, so with the
  /// same bits on all of them. Nothing with one stage. Collective.
  void sum_over_stages(std::span<double> numbers) const;

 private:
  const Topology* world_;
  int stages_;
  std::optional<Communicator> stage_group_, replica_group_;  ///< several stages only
  std::optional<Topology> stage_topology_;                   ///< same
};

}  // namespace fcmnist::comm
