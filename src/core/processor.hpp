#pragma once

#include <string>

namespace fcmnist {

/// The model of this machine's processor, as Linux names it: "AMD EPYC 9R14". "unknown" if Linux does not say
/// it.
std::string processor_name();

}  // namespace fcmnist
