#pragma once

#include <string>

namespace fcmnist {

/// The name of this machine, by gethostname(); "unknown-host" if it has none.
std::string host_name();

}  // namespace fcmnist
