#pragma once

#include <cstddef>
#include <vector>

#include "config/run_config.hpp"
#include "plan/mapping.hpp"
#include "plan/rates.hpp"

namespace fcmnist::plan {

/// Where the time of a step goes on the slowest stage, in seconds.
struct Forecast {
  double data_s = 0.0;
  double compute_s = 0.0;
  double pipeline_s = 0.0;  ///< the stage waits for its neighbours
  double network_s = 0.0;   ///< gradients travel between nodes after the backward pass has ended
  double update_s = 0.0;    ///< the ranks of a node add gradients and update weights
  double bubble_fraction = 0.0;

  [[nodiscard]] double step_s() const { return data_s + compute_s + pipeline_s + network_s + update_s; }
};

/// How the parts of a gradient leave, in their order.
struct PartSchedule {
  std::vector<double> written_s;  ///< when each is written: at most 0, the end of the backward pass
  std::vector<double> bytes;      ///< of each on the wire
};
/// A part is written when its share of the last microbatch's weight gradients is computed; in integers all parts leave at
/// the end.
///   stage  its number in the mapping
PartSchedule part_schedule(const Mapping& mapping, std::size_t stage, const Rates& rates);

/// The time of a full step on a world that need not be there: pure arithmetic. What a run does besides its
/// steps is not counted.
Forecast forecast(const config::RunConfig& config, const Mapping& mapping, const Rates& rates);

}  // namespace fcmnist::plan
