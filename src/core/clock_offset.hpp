#pragma once

namespace fcmnist {

/// How the clock of a rank stands against that of rank 0.
struct ClockOffset {
  double at_s = 0.0;      ///< when they were compared, by the clock of the rank
  double offset_s = 0.0;  ///< to be added to the clock of the rank
  double error_s = 0.0;   ///< that the offset is off by at most
};

}  // namespace fcmnist
