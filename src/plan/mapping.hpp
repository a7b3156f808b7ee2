#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "comm/placement.hpp"
#include "config/run_config.hpp"
#include "core/share.hpp"
#include "model/mlp.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::plan {

/// How one stage of the model lies on its ranks.
struct StageMapping {
  model::LayerRange layers;
  Range ranks;
  int nodes = 1;            ///< how many nodes have ranks of the stage
  int most_node_ranks = 1;  ///< how many ranks of the stage the node with the most of them has
  std::size_t parameters = 0;
  std::size_t numbers = 0;  ///< length of its flat arrays, gaps included
  std::size_t inputs = 0, outputs = 0;
  std::size_t blocks = 0;
  std::size_t least_owned = 0, most_owned = 0;  ///< blocks that one rank updates
  std::vector<Range> parts;  ///< the parts of its gradient, in the order in which backward finishes them
};

/// Memory of its own that a rank needs, in bytes. Program and libraries are not counted.
struct PrivateMemory {
  std::size_t weights = 0;
  std::size_t activations = 0;  ///< activations and their gradients, in training and in evaluation
  std::size_t messages = 0;     ///< messages between stages
  std::size_t windows = 0;      ///< the shared windows, when the rank is alone on its node
  std::size_t other = 0;        ///< the order of the epoch, and a gradient before it is rounded to integers

  [[nodiscard]] std::size_t total() const { return weights + activations + messages + windows + other; }
};

/// How a training run lies on a world. The world need not be there.
struct Mapping {
  std::vector<comm::RankPlacement> placement;
  int nodes = 1;
  int replicas = 1;
  std::size_t step_samples = 0;        ///< samples of a full step
  Range replica_samples;               ///< the least and the most samples of a step that a replica computes
  Range replica_microbatches;          ///< the least and the most microbatches of a step that it computes
  std::size_t microbatch_samples = 0;  ///< samples of the largest microbatch
  std::vector<StageMapping> stages;
  PrivateMemory private_memory;         ///< memory of the rank that needs the most
  std::size_t saving_on_rank_0 = 0;     ///< bytes that rank 0 needs more while it makes a checkpoint
  std::size_t shared_on_a_node = 0;     ///< bytes of the windows of the node that has the most
  std::size_t memory_on_a_node = 0;     ///< bytes of its windows and ranks, programs included
  std::size_t number_bytes = 4;         ///< bytes of one number of the gradient where it is summed
  std::size_t wire_bytes = 4;           ///< bytes of one number of the gradient on its way between nodes
  std::size_t sent_between_nodes = 0;   ///< bytes per step that the node sends that sends the most
  std::size_t sent_between_stages = 0;  ///< bytes per step in both directions, by all stages of a replica

  [[nodiscard]] int ranks() const { return static_cast<int>(placement.size()); }
  /// Whether microbatches are rounded to integers before they are summed.
  [[nodiscard]] bool sums_integers() const { return number_bytes > sizeof(float); }
};

/// Pure arithmetic, by the functions that the run itself uses.
///   stages  the layers of each, in order; their number divides the ranks, see config::check_world()
Mapping map_training(const config::RunConfig& config, const train::Shapes& shapes,
                     std::span<const model::LayerRange> stages,
                     std::span<const comm::RankPlacement> placement);

/// How a run that only evaluates lies on a world. The ranks share the samples, and each has all layers.
struct EvaluationMapping {
  std::size_t samples = 0;
  Range rank_samples;                ///< the least and the most samples that a rank scores
  std::size_t private_memory = 0;    ///< bytes of a rank
  std::size_t shared_on_a_node = 0;  ///< bytes of the windows of the node that has the most
  std::size_t memory_on_a_node = 0;  ///< bytes of its windows and ranks, programs included
};
EvaluationMapping map_evaluation(const config::RunConfig& config, const data::DatasetShape& shape,
                                 std::span<const comm::RankPlacement> placement);

}  // namespace fcmnist::plan
