#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/bench.hpp"
#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "model/mlp.hpp"
#include "train/model_state.hpp"
#include "train/trainer.hpp"

namespace fcmnist::bench {

/// Of MNIST for training.
inline constexpr data::DatasetShape mnist_shape{60'000, 28, 28};
inline constexpr int mnist_classes = 10;

struct Model {
  std::string name;
  std::vector<int> hidden_sizes;
};
/// 500_300 and 10x50.
const std::vector<Model>& models();

/// SGD with momentum, without dropout and weight decay: what train-step benchmarks of other programs do.
config::RunConfig config_of(const Bench& bench, const Model& model, int batch_per_rank);

model::Mlp mlp_of(const config::RunConfig& config);
/// The layers of this rank's stage.
model::Mlp stage_of(const config::RunConfig& config, const comm::Grid& grid, const model::GemmChoice& gemms);

/// The training of fcmnist_mpi: its Trainer and all that it needs.
class Training {
 public:
  /// Collective.
  Training(const Bench& bench, const config::RunConfig& config)
      : Training(bench, config, config.kernels.gemm) {}
  Training(const Bench& bench, const config::RunConfig& config, const model::GemmChoice& gemms);

  train::StepResult step() { return trainer_.step(); }

  /// Whole steps.
  Timed steps();
  /// The part of a step after its backward pass, on rank 0, so with the wait for slower ranks: for a number
  /// of steps, that many times the median.
  Timed exchange();

  /// Median over the steps that were timed by steps(), of each part by itself.
  [[nodiscard]] train::TimeSplit median_split() const;

 private:
  const comm::Communicator* world_;
  config::RunConfig config_;
  comm::Grid grid_;
  model::Mlp mlp_;
  data::EpochPlan plan_;
  train::ModelState state_;
  train::Trainer trainer_;
  std::vector<train::TimeSplit> splits_;
};

}  // namespace fcmnist::bench
