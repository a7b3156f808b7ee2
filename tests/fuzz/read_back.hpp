#pragma once

#include "config/load.hpp"
#include "config/relations.hpp"
#include "config/resume.hpp"
#include "core/error.hpp"

namespace fcmnist::fuzz {

/// What must hold of every configuration that was accepted: written and read back it is equal, and a resume
/// of the run with its own settings is possible. What depends on the world may still be refused, in order.
inline void check_accepted(const config::RunConfig& accepted) {
  config::Sources written;
  written.yaml = config::to_yaml(accepted);
  const config::RunConfig again = config::load(written).config;
  FCMNIST_CHECK(again == accepted, *written.yaml + "read back as\n" + config::to_yaml(again));
  FCMNIST_CHECK(config::check_resume(accepted, again).empty(), *written.yaml);
  for (const int replicas : {1, 3, 1'000'000}) {
    try {
      config::check_world(accepted, replicas);
    } catch (const UsageError&) {
    }
  }
}

}  // namespace fcmnist::fuzz
