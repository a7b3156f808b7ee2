#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "comm/topology.hpp"
#include "config/run_config.hpp"
#include "core/share.hpp"
#include "model/mlp.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::plan {

/// A stage of the model on its ranks. "Most" is of the rank, or of the node, that has the most.
struct StageMapping {
  model::LayerRange layers;
  Range ranks;
  int nodes = 1;            ///< that have some of its ranks
  int most_node_ranks = 1;  ///< of its ranks that one node has
  std::size_t parameters = 0;
  std::size_t numbers = 0;  ///< of its flat arrays, gaps included
  std::size_t inputs = 0, outputs = 0;
  std::size_t blocks = 0;
  std::size_t least_owned = 0, most_owned = 0;  ///< blocks that a rank updates
  std::vector<Range> parts;                     ///< of its gradient, in the order of backward
};

/// Memory of its own that a rank needs, in bytes, besides that of program and libraries.
struct PrivateMemory {
  std::size_t weights = 0;
  std::size_t activations = 0;  ///< and their gradients, of all microbatches in flight; of the evaluation too
  std::size_t messages = 0;     ///< between stages
  std::size_t windows =
      0;  ///< gradient, optimizer state and separate master weights of a rank alone on its node
  std::size_t other = 0;  ///< order of the epoch, gradient before it is rounded

  [[nodiscard]] std::size_t total() const { return weights + activations + messages + windows + other; }
};

/// How a training run lies on a world: pure arithmetic, by the functions that the run itself uses, so that a
/// world need not be there.
struct Mapping {
  std::vector<comm::RankPlacement> placement;
  int nodes = 1;
  int replicas = 1;
  std::size_t step_samples = 0;        ///< of a full step
  Range replica_samples;               ///< least and most of a step that a replica computes
  Range replica_microbatches;          ///< same
  std::size_t microbatch_samples = 0;  ///< of the largest one
  std::vector<StageMapping> stages;
  PrivateMemory private_memory;         ///< of the rank that needs the most
  std::size_t saving_on_rank_0 = 0;     ///< more, while it makes the image of a checkpoint
  std::size_t shared_on_a_node = 0;     ///< same, of the nodes: windows of gradients, weights, data
  std::size_t memory_on_a_node = 0;     ///< same: windows and all ranks' own memory, program included
  std::size_t number_bytes = 4;         ///< of a number of the gradient where it is summed
  std::size_t wire_bytes = 4;           ///< ... on its way between nodes
  std::size_t sent_between_nodes = 0;   ///< bytes per step, by the node that sends the most
  std::size_t sent_between_stages = 0;  ///< bytes per step, by all stages of one replica, both directions

  [[nodiscard]] int ranks() const { return static_cast<int>(placement.size()); }
};

/// `stages`: the layers of each, in order; their number divides the ranks, see config::check_world().
Mapping map_training(const config::RunConfig& config, const train::Shapes& shapes,
                     std::span<const model::LayerRange> stages,
                     std::span<const comm::RankPlacement> placement);

/// How the modes that only evaluate lie on a world: ranks share the samples.
struct EvaluationMapping {
  std::size_t samples = 0;
  Range rank_samples;                ///< least and most that a rank scores
  std::size_t private_memory = 0;    ///< of a rank
  std::size_t shared_on_a_node = 0;  ///< of the node that needs the most
  std::size_t memory_on_a_node = 0;  ///< same: windows and all ranks' own memory, program included
};
EvaluationMapping map_evaluation(const config::RunConfig& config, const data::DatasetShape& shape,
                                 std::span<const comm::RankPlacement> placement);

}  // namespace fcmnist::plan
