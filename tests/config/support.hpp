#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/load.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace fcmnist::config {

/// What load says to a file of this text, called "f.yaml", and overrides as on the command line.
inline Loaded load_text(std::string yaml, std::vector<Override> overrides = {}) {
  Sources sources;
  sources.yaml = std::move(yaml);
  sources.yaml_name = "f.yaml";
  sources.overrides = std::move(overrides);
  return load(sources);
}

inline Loaded load_overrides(std::vector<Override> overrides) {
  Sources sources;
  sources.overrides = std::move(overrides);
  return load(sources);
}

/// The message of the UsageError that `call` throws; a failure and "" if it throws none.
template <class Call>
std::string usage_error_of(Call call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no UsageError";
  return {};
}

}  // namespace fcmnist::config
