#pragma once

#include "comm/communicator.hpp"
#include "core/clock_offset.hpp"

namespace fcmnist::comm {

/// Compares the clock of each rank, now_s(), with that of rank 0. Open MPI gives each process a clock of its own, also on one
/// node. Collective.
///
/// Nobody sends a message of its own: whoever leaves an all-gather knows that everybody has entered it. So the
/// times at which two ranks enter and leave it bound their offset from both sides, and many rounds narrow the
/// bounds to about the time of the fastest one.
ClockOffset compare_clocks(const Communicator& world);

}  // namespace fcmnist::comm
