#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "plan/mapping.hpp"

namespace fcmnist::plan {

/// What one rank does with one microbatch, in seconds.
struct StageTime {
  double data_s = 0.0;     ///< gathers samples; first stage
  double forward_s = 0.0;  ///< and loss; last stage
  double deltas_s = 0.0;   ///< backward, first half: then the gradient by the input leaves
  double weights_s = 0.0;  ///< second half

  [[nodiscard]] double total_s() const { return data_s + forward_s + deltas_s + weights_s; }
};

/// How messages travel: bytes / bytes_per_s after latency_s.
struct LinkRate {
  double bytes_per_s = 0.0;
  double latency_s = 0.0;
  [[nodiscard]] double seconds(double bytes) const { return latency_s + bytes / bytes_per_s; }
};

/// How fast a machine is. Seconds "per number" are of one core that has the numbers in no cache of its own.
struct Rates {
  std::vector<StageTime> stages;  ///< of the largest microbatch of each stage
  double update_s = 0.0;          ///< per number: of a gradient to weights, in the precision
  double add_s = 0.0;             ///< per number: of each gradient that is added
  double copy_s = 0.0;            ///< per working weight, in the precision
  double fixed_point_s = 0.0;     ///< per number: to integers; reproducible
  double wait_s = 0.0;            ///< of all ranks of a node for each other, for each of them
  LinkRate within_node, between_nodes;
  double ranks_per_core = 1.0;  ///< BLAS threads counted; more than 1: they take turns
};

/// The microbatches of a step in the order of microbatch_schedule().
///   link_s  of a message to the next stage, or back: one number less than stages
struct PipelineForecast {
  std::vector<double> end_s;  ///< per stage: its last microbatch's backward is done
  double total_s = 0.0;       ///< the latest of them
  double bubble_fraction = 0.0;
};
PipelineForecast simulate_pipeline(std::span<const StageTime> stages, std::span<const double> link_s,
                                   std::size_t microbatches);

/// Seconds from the end of the backward pass until all parts of a gradient have gone round the nodes.
///   written_s  when each part is written, before (or at) 0, increasing
///   bytes      of each
/// Four parts are on their way at once, and share the wire; see comm::CrossNodeSum.
double simulate_rings(std::span<const double> written_s, std::span<const double> bytes, int nodes,
                      const LinkRate& link);

/// Where the time of a step goes, in seconds. Of the slowest stage.
struct Forecast {
  double data_s = 0.0;
  double compute_s = 0.0;
  double pipeline_s = 0.0;  ///< waits of stages for each other
  double network_s = 0.0;   ///< between nodes, as far as backward does not hide it
  double update_s = 0.0;    ///< sums and updates within the node
  double bubble_fraction = 0.0;

  [[nodiscard]] double step_s() const { return data_s + compute_s + pipeline_s + network_s + update_s; }
};

/// Pure arithmetic: of a full step, without what a run does besides its steps.
Forecast forecast(const config::RunConfig& config, const Mapping& mapping, const Rates& rates);

}  // namespace fcmnist::plan
