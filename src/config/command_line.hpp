#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace fcmnist::config {

/// What the user asked for on the command line.
struct CommandLine {
  std::string text_to_print;  ///< of --help or --version: print it and end with exit code 0
  std::string params_file;    ///< empty: the built-in settings
  std::string config_name;
  /// Empty: the newest checkpoint of the model_dir. As it was given it may be a pattern, or several names or patterns
  /// with commas in between.
  std::string checkpoint_path;
  bool is_pretrained_checkpoint = false;
  bool multireplica = false;
  bool compile_only = false;
  bool restart = false;
  bool validate_only = false;  ///< say how the run maps onto the world, and run nothing
  int plan_ranks = 0;          ///< validate_only: the ranks of an imagined world; 0: this world
  int plan_nodes = 1;          ///< the nodes of the imagined world
  int plan_cores = 0;          ///< the cores of each of its nodes; 0: as many as this node has
  std::string forecast_file;   ///< validate_only: the forecast is written to it, as JSON; empty: to no file
  std::string logging = "info";
  bool logging_given = false;       ///< otherwise runconfig.logging may say another level
  std::vector<Override> overrides;  ///< flags that stand for a key first, then "section.key value" in order
};

/// Parses the arguments of main. Prints nothing and never exits.
/// Throws UsageError for: unknown flags (with the nearest known one), missing values, arguments that are
/// neither, flags that need another flag. Values of overrides are checked by load.
CommandLine parse_command_line(int argc, const char* const* argv);

/// Expands "~/" and variables in the paths of -p and --checkpoint_path, by the environment of this process. Those of
/// keys are expanded by load. Throws UsageError.
void expand_paths(CommandLine& line);

/// The model_dir that the command line names, expanded by the environment of this process. Throws UsageError.
std::optional<std::string> given_model_dir(const CommandLine& line);

}  // namespace fcmnist::config
