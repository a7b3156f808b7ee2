#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/run_config.hpp"

namespace fcmnist::config {

/// One key set on the command line.
struct Override {
  std::string key;                      ///< "section.key"
  std::string value;                    ///< as written
  std::string origin = "command line";  ///< for messages; a flag that stands for a key gives its name
};

/// Everything a configuration is made of. Texts only: rank 0 reads the file and broadcasts its text, all
/// ranks load.
struct Sources {
  std::optional<std::string> yaml;        ///< text of the file
  std::string yaml_name = "params.yaml";  ///< for messages
  std::string config_name;  ///< --config: the top-level key of the file that holds the sections; empty: none
  std::vector<Override> overrides;
  bool multireplica = false;  ///< --multireplica
};

struct Loaded {
  RunConfig config;
  std::vector<std::string> notes;  ///< one log line each: keys that change nothing here, and why
};

/// Without a file the built-in experiment, with a file its values over plain ones; overridden by the command
/// line; checked as far as it can be without data and without knowing the number of ranks (that is
/// check_world). The same texts give the same result on every rank. Throws UsageError for the first thing
/// that is wrong, with place, key, found, expected.
Loaded load(const Sources& sources);

/// The resolved configuration in the style of the reference's file: loading it gives an equal RunConfig.
std::string to_yaml(const RunConfig& config);

}  // namespace fcmnist::config
