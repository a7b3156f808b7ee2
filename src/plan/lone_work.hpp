#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "core/arena.hpp"
#include "data/dataset.hpp"
#include "model/mlp.hpp"
#include "train/observer.hpp"
#include "train/stage_work.hpp"

namespace fcmnist::plan {

/// The work of a stage by itself, so that it can be timed. It has initial weights and a gradient that nobody
/// uses, and neither neighbours nor an exchange.
class LoneWork {
 public:
  /// `topology`, `mlp` and `dataset` must outlive it.
  ///   topology  all ranks that make such a work; none of them waits for the others
  ///   mlp       the layers of the stage
  ///   nodes     how many have ranks of the stage, on which the parts of its gradient depend
  ///   samples   size of a microbatch
  LoneWork(const config::RunConfig& config, const comm::Topology& topology, const model::Mlp& mlp, int nodes,
           const data::Dataset& dataset, std::size_t samples);

  /// Forward and backward of a microbatch. Its samples are others each time, so that they come from memory as
  /// in training. observer() has its times.
  void compute_microbatch(const std::function<void()>& on_part = [] {});

  [[nodiscard]] train::StageWork& work() { return *work_; }
  [[nodiscard]] const train::StepObserver& observer() const { return observer_; }
  [[nodiscard]] const std::vector<model::GradientPart>& gradient_parts() const { return parts_; }

  /// Memory of its own that a rank needs for it.
  static std::size_t bytes(const model::Mlp& mlp, std::size_t samples);

 private:
  comm::Grid grid_;
  std::size_t dataset_samples_;
  std::vector<model::GradientPart> parts_;
  AlignedArray<std::byte> weights_;
  Arena<float> gradient_;
  train::StepObserver observer_;
  std::unique_ptr<train::StageWork> work_;
  std::vector<std::uint32_t> ids_;
  std::size_t next_id_ = 0;
};

}  // namespace fcmnist::plan
