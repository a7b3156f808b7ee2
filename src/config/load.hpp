#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/paths.hpp"
#include "config/run_config.hpp"
#include "config/sweep.hpp"

namespace fcmnist::config {

/// One key set on the command line.
struct Override {
  std::string key;                      ///< "section.key"
  std::string value;                    ///< as written
  std::string origin = "command line";  ///< for messages; the name of the flag if a flag stands for the key
};

/// The texts that a configuration is made of. Rank 0 reads the file and broadcasts its text; all ranks load it.
struct Sources {
  std::optional<std::string> yaml;        ///< text of the file
  std::string yaml_name = "params.yaml";  ///< for messages
  std::string config_name;  ///< --config: the top-level key that holds the sections; empty: there is none
  std::vector<Override> overrides;
  bool multireplica = false;  ///< --multireplica
  /// What paths may name: environment_for() on rank 0, which broadcasts it too. Without one, the texts are taken as
  /// this program wrote them, where paths are already expanded.
  std::optional<Environment> environment;
};

/// The variables of this process that the texts of a person name.
Environment environment_for(const Sources& sources);

struct Loaded {
  RunConfig config;
  std::optional<std::string> logging;  ///< the level of the log, if a key names one
  std::optional<SweepOptions> sweep;   ///< section sweep, which counts in the mode sweep only
  std::vector<std::string> notes;      ///< one log line each: keys that change nothing here, and why
};

/// The configuration that these texts say. Without a file it begins as the built-in experiment; with a file, a
/// key that the file leaves out has its plain value. The command line overrides both. Everything is checked that
/// needs neither the data nor the number of ranks (check_world checks that). The same texts give the same result
/// on every rank. Throws UsageError for the first thing that is wrong, with place, key, found and expected.
Loaded load(const Sources& sources);

/// The resolved configuration in the style of the reference's file: loading it gives an equal RunConfig.
std::string to_yaml(const RunConfig& config);

}  // namespace fcmnist::config
