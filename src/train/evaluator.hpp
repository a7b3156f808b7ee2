#pragma once

#include <cstdint>
#include <vector>

#include "comm/topology.hpp"
#include "config/run_config.hpp"
#include "core/arena.hpp"
#include "data/dataset.hpp"
#include "model/mlp.hpp"
#include "train/microbatches.hpp"

namespace fcmnist::train {

struct EvaluationResult {
  std::size_t samples = 0;
  double loss = 0.0;                    ///< mean over samples, nats
  double accuracy = 0.0;                ///< 0 to 1
  std::vector<std::int64_t> confusion;  ///< (classes x classes): row = true label, column = predicted
};

/// Scores every sample of a data set exactly once, whatever the number of ranks is.
class Evaluator {
 public:
  /// All arguments must outlive it.
  Evaluator(const config::RunConfig& config, const comm::Topology& topology, const data::Dataset& dataset,
            const model::Mlp& mlp);

  /// Collective. The same result on every rank.
  EvaluationResult evaluate(ArenaView<const float> weights);

 private:
  const comm::Topology* topology_;
  const data::Dataset* dataset_;
  const model::Mlp* mlp_;
  std::size_t samples_;  ///< all, or eval_steps batches of them
  Microbatches microbatches_;
  model::Workspace workspace_;
  AlignedArray<float> features_;
  std::vector<std::uint8_t> labels_, predicted_;
  std::vector<std::uint32_t> ids_;
};

}  // namespace fcmnist::train
