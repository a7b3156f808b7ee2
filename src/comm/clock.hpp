#pragma once

namespace fcmnist::comm {

/// Seconds since some moment in the past. This is the only clock of the program: in a simulated cluster it
/// shows the simulated time.
double now_s();

}  // namespace fcmnist::comm
