#pragma once

#include <optional>
#include <string_view>

namespace fcmnist::config {

/// Seconds of a time as Slurm writes it: minutes, "M:S", "H:M:S", "D-H", "D-H:M" or "D-H:M:S". The first number has
/// one to six digits and any value; those after it have one or two and stay below 24 hours, 60 minutes, 60
/// seconds. Nothing for other texts.
std::optional<long> seconds_of_slurm_time(std::string_view text);

}  // namespace fcmnist::config
