#pragma once

#include <string>

namespace fcmnist {

/// Model of this machine's processor, as Linux names it: "AMD EPYC 9R14"; "unknown" where it does not.
std::string processor_name();

}  // namespace fcmnist
