#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "config/command_line.hpp"
#include "config/load.hpp"

namespace fcmnist::setup {

/// The settings that do not stand on the command line.
struct SettingsFile {
  std::string name;  ///< for messages; empty: there is none, and the built-in settings hold
  std::string text;  ///< YAML
};

/// The command line with its paths as rank 0 understands them: with "~/" and variables expanded. Collective; all
/// ranks throw the same errors.
config::CommandLine expanded(const comm::Communicator& world, config::CommandLine arguments);

/// The files that --checkpoint_path names: itself if there is such a file, or if it has no comma and nothing of a
/// pattern (* ? [ {); else all files that fit, in the order of the names that were given, and each once. Throws
/// StoreError if one of the names fits no file. Rank 0 looks.
std::vector<std::string> checkpoint_files(const std::string& checkpoint_path);

/// Finds the settings: those of -p; else those in the checkpoint that is to be evaluated or continued; else
/// those of the run in the model_dir; else none. Rank 0 reads, and every rank gets the text. Collective; all
/// ranks throw the same errors.
SettingsFile find_settings(const comm::Communicator& world, const config::CommandLine& arguments);

/// The configuration of these settings and of the command line. Collective; all ranks throw the same errors.
config::Loaded load_settings(const comm::Communicator& world, const config::CommandLine& arguments,
                             const SettingsFile& file);

/// Reads a whole text file of at most 1 MiB. Throws UsageError that begins with `what_for`.
std::string read_text_file(const std::filesystem::path& path, const std::string& what_for);

}  // namespace fcmnist::setup
