#pragma once

#include <cstdint>
#include <vector>

#include "bench/bench.hpp"
#include "config/run_config.hpp"
#include "core/arena.hpp"
#include "data/epoch_order.hpp"
#include "data/epoch_plan.hpp"
#include "kernels/softmax_loss.hpp"
#include "model/mlp.hpp"
#include "optim/update.hpp"

namespace fcmnist::bench {

/// What a rank does by itself in a step, as in train::Trainer: its samples in the order of the epoch,
/// forward, loss, backward. For ways to train that divide the rest otherwise.
class LocalStep {
 public:
  /// `mlp` must outlive it.
  LocalStep(const Bench& bench, const config::RunConfig& config, const model::Mlp& mlp);

  /// The next step.
  ///   gradient  written: this rank's part of the mean over the global batch
  /// Returns the sums over this rank's samples.
  kernels::LossSums run(ArenaView<const float> weights, ArenaView<float> gradient);

  /// Over all ranks.
  [[nodiscard]] std::size_t samples_per_step() const { return samples_per_step_; }

 private:
  const data::Dataset* dataset_;
  const model::Mlp* mlp_;
  std::size_t ranks_, rank_;
  std::size_t samples_per_step_;
  data::EpochPlan plan_;
  data::EpochOrder order_;
  model::Workspace workspace_;
  std::vector<std::uint8_t> labels_;
  std::vector<model::GradientPart> parts_;
  std::uint64_t steps_done_ = 0;
};

/// Data-parallel training as most programs do it: every rank has its own weights and momentum, MPI_Allreduce
/// sums the whole gradient, and every rank updates everything. Computes what train::Trainer computes, to
/// rounding; without clipping.
class AllreduceTrainer {
 public:
  AllreduceTrainer(const Bench& bench, const config::RunConfig& config);

  /// One step. Collective. Returns the mean loss over the global batch before the update.
  double step();

 private:
  const comm::Communicator* world_;
  optim::OptimizerOptions optimizer_;
  optim::UpdateStep update_step_;
  model::Mlp mlp_;
  LocalStep local_step_;
  Arena<float> weights_;
  Arena<float> momentum_buffer_;
  AlignedArray<float> local_;  ///< this rank's gradient, and behind it its loss
  AlignedArray<float> total_;  ///< their sums over all ranks
};

}  // namespace fcmnist::bench
