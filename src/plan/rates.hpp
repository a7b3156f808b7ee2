#pragma once

#include <vector>

#include "comm/topology.hpp"
#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "model/mlp.hpp"
#include "plan/exchange_simulation.hpp"
#include "plan/mapping.hpp"
#include "plan/pipeline_simulation.hpp"

namespace fcmnist::plan {

/// How fast a machine is. Seconds "per number" are those of one core that has the numbers in no cache of its
/// own.
struct Rates {
  std::vector<StageTime> stages;  ///< times of the largest microbatch on each stage
  double update_s = 0.0;          ///< per number: updates a weight, and rounds it to the precision
  double add_s = 0.0;             ///< per number: adds another gradient
  double copy_s = 0.0;            ///< per number: copies a working weight
  double fixed_point_s = 0.0;     ///< per number: rounds to integers; 0 unless sums are reproducible
  double wait_s = 0.0;            ///< for each rank of a node: what it adds to a wait of all for each other
  LinkRate within_node, between_nodes;
  double ranks_per_core = 1.0;  ///< BLAS threads are counted as ranks

  /// Ranks that share a core take turns: the factor on all times that one rank alone would take.
  [[nodiscard]] double turns() const { return ranks_per_core > 1.0 ? ranks_per_core : 1.0; }
};

/// The times of a microbatch on a stage: medians over about `seconds`, in which this process computes nothing
/// else.
///   topology  this process alone
///   mlp       the layers of the stage
///   nodes     how many have ranks of the stage, on which the parts of its gradient depend
///   samples   size of the microbatch
StageTime measure_stage(const config::RunConfig& config, const comm::Topology& topology,
                        const model::Mlp& mlp, int nodes, const data::Dataset& dataset, std::size_t samples,
                        double seconds);

/// How fast this process alone does the work of a mapping, whose other ranks need not be there: the microbatch
/// of each stage, then the passes over a gradient. Takes about half a second. One process cannot measure
/// messages and waits: they are assumed, and the network between nodes is that of the configuration.
///   topology  this process alone
Rates measure_rates(const config::RunConfig& config, const Mapping& mapping, const data::DatasetShape& shape,
                    const comm::Topology& topology);

}  // namespace fcmnist::plan
