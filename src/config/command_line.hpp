#pragma once

#include <string>
#include <vector>

#include "config/load.hpp"

namespace fcmnist::config {

/// What the user asked for on the command line.
struct CommandLine {
  std::string text_to_print;  ///< not empty: --help or --version, print this and end with exit code 0
  std::string params_file;    ///< empty: built-in settings
  std::string config_name;
  std::string checkpoint_path;  ///< empty: the newest one of the model_dir
  bool is_pretrained_checkpoint = false;
  bool multireplica = false;
  bool compile_only = false;
  bool restart = false;
  bool validate_only = false;  ///< says how the run maps onto the world, and runs nothing
  int plan_ranks = 0;          ///< validate_only: of a world that is not there; 0: of this one
  int plan_nodes = 1;          ///< its nodes
  std::string logging = "info";
  std::vector<Override> overrides;  ///< flags that stand for a key first, then "section.key value" in order
};

/// Parses the arguments of main. Prints nothing and never exits.
/// Throws UsageError for: unknown flags (with the nearest known one), missing values, arguments that are
/// neither, flags that need another flag. Values of overrides are checked by load.
CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace fcmnist::config
