#pragma once

#include "comm/communicator.hpp"

namespace fcmnist::comm {

/// How the clock of this rank, now_s(), stands against that of rank 0.
struct ClockOffset {
  double at_s = 0.0;      ///< when they were compared, by the clock of this rank
  double offset_s = 0.0;  ///< to be added to the clock of this rank
  double error_s = 0.0;   ///< that the offset is off by at most
};

/// Compares the clock of each rank with that of rank 0. Open MPI gives each process a clock of its own, also on one
/// node. Collective.
///
/// Nobody sends a message of its own: whoever leaves an all-gather knows that everybody has entered it. So the
/// times at which two ranks enter and leave it bound their offset from both sides, and many rounds narrow the
/// bounds to about the time of the fastest one.
ClockOffset compare_clocks(const Communicator& world);

}  // namespace fcmnist::comm
