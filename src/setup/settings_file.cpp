#include "setup/settings_file.hpp"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>

#include "core/error.hpp"
#include "store/checkpoint.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::setup {

namespace {

std::filesystem::path model_dir_of(const config::CommandLine& arguments) {
  return config::given_model_dir(arguments).value_or(config::RunOptions().model_dir);
}

bool names_model_dir(const config::CommandLine& arguments) {
  return std::ranges::any_of(arguments.overrides, [](const config::Override& override) {
    return override.key == "runconfig.model_dir";
  });
}

bool has_settings(const store::ModelDir& model_dir) {
  std::error_code unknown;  // a model_dir that cannot be looked at is refused when it is to be written
  return std::filesystem::exists(model_dir.params_file(), unknown);
}

}  // namespace

config::CommandLine expanded(const comm::Communicator& world, config::CommandLine arguments) {
  comm::collectively(world, [&] {
    if (world.rank() == 0) config::expand_paths(arguments);
  });
  arguments.params_file = world.broadcast(arguments.params_file, 0);
  arguments.checkpoint_path = world.broadcast(arguments.checkpoint_path, 0);
  return arguments;
}

namespace {

/// The files that fit a pattern of the shell, with {a,b} too, sorted.
std::vector<std::string> files_like(const std::string& pattern) {
  glob_t found = {};
  const std::unique_ptr<glob_t, decltype(&globfree)> owner(&found, &globfree);
  if (glob(pattern.c_str(), GLOB_BRACE, nullptr, &found) != 0) {
    throw StoreError(fmt::format("--checkpoint_path: no file is called {}", pattern),
                     "quote a pattern, so that the shell leaves it alone; ls shows what it fits");
  }
  return {found.gl_pathv, found.gl_pathv + found.gl_pathc};
}

/// At commas outside of braces.
std::vector<std::string> split_names(const std::string& list) {
  std::vector<std::string> names(1);
  int depth = 0;
  for (const char c : list) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (c == ',' && depth == 0) {
      names.emplace_back();
    } else {
      names.back() += c;
    }
  }
  std::erase(names, "");
  return names;
}

}  // namespace

std::vector<std::string> checkpoint_files(const std::string& checkpoint_path) {
  std::error_code unknown;
  const bool is_plain = checkpoint_path.find_first_of(",*?[{") == std::string::npos;
  if (is_plain || std::filesystem::exists(checkpoint_path, unknown)) return {checkpoint_path};
  std::vector<std::string> files;
  std::vector<std::filesystem::path> known;  // checkpoint_best.h5 is another name of a checkpoint
  for (const std::string& name : split_names(checkpoint_path)) {
    for (std::string& file : files_like(name)) {
      const auto whole = std::filesystem::weakly_canonical(file, unknown);
      if (std::ranges::find(known, whole) != known.end()) continue;
      known.push_back(whole);
      files.push_back(std::move(file));
    }
  }
  if (files.empty()) throw StoreError(fmt::format("--checkpoint_path {}: no file is named", checkpoint_path));
  return files;
}

SettingsFile find_settings(const comm::Communicator& world, const config::CommandLine& arguments) {
  SettingsFile found;
  comm::collectively(world, [&] {
    if (world.rank() != 0) return;
    const store::ModelDir model_dir(model_dir_of(arguments));
    if (!arguments.params_file.empty()) {
      found = {arguments.params_file, read_text_file(arguments.params_file, "-p/--params")};
    } else if (!arguments.checkpoint_path.empty() && !arguments.is_pretrained_checkpoint) {
      const std::string path = checkpoint_files(arguments.checkpoint_path).front();
      found = {"configuration in " + path, store::Checkpoint::read(path).header().config_yaml};
    } else if (has_settings(model_dir)) {
      found = {model_dir.params_file().string(),
               read_text_file(model_dir.params_file(), "settings of model_dir")};
    }
  });
  return {world.broadcast(found.name, 0), world.broadcast(found.text, 0)};
}

config::Loaded load_settings(const comm::Communicator& world, const config::CommandLine& arguments,
                             const SettingsFile& file) {
  config::Sources sources;
  if (!file.name.empty()) sources.yaml = file.text;
  sources.yaml_name = file.name;
  sources.config_name = arguments.config_name;
  sources.multireplica = arguments.multireplica;
  sources.overrides = arguments.overrides;
  // Settings that were found in a model_dir or checkpoint may name the place where it once was.
  if (arguments.params_file.empty() && !names_model_dir(arguments)) {
    sources.overrides.push_back({"runconfig.model_dir", config::RunOptions().model_dir, "built-in"});
  }
  // One environment for all ranks: that of another node may be another one.
  const std::string variables = config::to_text(config::environment_for(sources));
  sources.environment = config::environment_of_text(world.broadcast(variables, 0));
  config::Loaded loaded;
  comm::collectively(world, [&] { loaded = config::load(sources); });
  return loaded;
}

std::string read_text_file(const std::filesystem::path& path, const std::string& what_for) {
  constexpr std::size_t limit = std::size_t{1} << 20;
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) {
    throw UsageError(fmt::format("{} {}: is a directory, expected a YAML file", what_for, path.string()));
  }
  if (std::filesystem::exists(path, unknown) && !std::filesystem::is_regular_file(path, unknown)) {
    // A pipe that nobody writes to would wait for ever.
    throw UsageError(
        fmt::format("{} {}: is a pipe or device, expected a YAML file", what_for, path.string()));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UsageError(errno_message(what_for, path.string(), errno));
  std::string text(limit + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) throw UsageError(errno_message(what_for, path.string(), errno));
  if (text.size() > limit) {
    throw UsageError(
        fmt::format("{} {}: larger than 1 MiB, expected a YAML file of settings", what_for, path.string()));
  }
  return text;
}

}  // namespace fcmnist::setup
