#pragma once

#include <memory>
#include <optional>

#include "sim/forecast_file.hpp"

namespace fcmnist::sim {

/// Simulated seconds, as rank 0 sees them.
struct StepTimes {
  double step_s = 0.0;       ///< of a step, the mean of some in a row
  double exposed_s = 0.0;    ///< of it, from the end of the backward pass until the gradient is summed
  double exchange_s = 0.0;   ///< of the exchange of a gradient that is written already
  double ring_s = 0.0;       ///< of the sum of such a gradient on a ring of all nodes
  double allreduce_s = 0.0;  ///< of the same by MPI_Allreduce
  bool is_exact = true;      ///< whether all these sums had the right values
};

/// What the calling rank, which stands for all ranks of its node, does in `steps` steps of the forecast: the program's own
/// exchange, in the order of train::Trainer::step, where the time of products and of the update passes without them.
/// Collective over the simulated cluster.
class SimulatedRank {
 public:
  SimulatedRank();
  ~SimulatedRank();
  SimulatedRank(const SimulatedRank&) = delete;
  SimulatedRank& operator=(const SimulatedRank&) = delete;

  [[nodiscard]] int rank() const;
  ///   forecast  has the gradient of the forecasts before it
  StepTimes simulate(const ForecastFile& forecast, int steps);

 private:
  struct World;
  void simulate_peers(const ForecastFile& forecast, StepTimes& times);

  std::unique_ptr<World> world_;
  std::optional<StepTimes>
      peers_;  ///< the times of the peers do not depend on the step, so they are found once
};

}  // namespace fcmnist::sim
