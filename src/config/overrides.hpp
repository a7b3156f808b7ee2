#pragma once

#include <string>
#include <vector>

#include "config/load.hpp"

namespace fcmnist::config {

/// Reads the arguments of a command line that are no flags: "section.key=value", or "section.key" and its value. Throws
/// UsageError for any other, with what it looks like: a flag of another name, a word of another program, YAML, spaces
/// around a "=", no value.
///   flags  the names of all flags, with their dashes
std::vector<Override> read_overrides(const std::vector<std::string>& arguments,
                                     const std::vector<std::string>& flags);

}  // namespace fcmnist::config
