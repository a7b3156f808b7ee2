#pragma once

#include "bench/local_step.hpp"
#include "model/mlp.hpp"
#include "optim/options.hpp"

namespace fcmnist::bench {

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
  model::Mlp mlp_;
  LocalStep local_step_;
  Arena<float> weights_;
  Arena<float> momentum_buffer_;
  AlignedArray<float> local_;  ///< this rank's gradient, and behind it its loss
  AlignedArray<float> total_;  ///< their sums over all ranks
};

}  // namespace fcmnist::bench
