#include "config/overrides.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "config/keys.hpp"
#include "config/nearest.hpp"
#include "config/readers.hpp"
#include "config/synonyms.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

[[noreturn]] void refuse_flag(const std::string& argument, std::span<const std::string> flags) {
  const std::string name = argument.substr(0, argument.find('='));
  const std::string bare = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  const Key* dashed = find_key(bare);
  const Key* setting = nullptr;  // has this name in some section
  for (const char* section : {"train_input", "model", "optimizer", "runconfig"}) {
    if (const Key* key = find_key(fmt::format("{}.{}", section, bare))) setting = key;
  }
  if (setting == nullptr) setting = find_key(synonym(bare));
  std::string hint = "fcmnist_mpi --help lists the flags";
  if (dashed != nullptr) {
    hint = fmt::format("settings are written without dashes: {} VALUE", bare);
  } else if (const std::string meant = nearest("--" + bare, flags); !meant.empty()) {
    hint = fmt::format("did you mean {}?", meant);
  } else if (setting != nullptr && setting->sentence.empty()) {
    hint = fmt::format("write it as a setting: {} VALUE", setting->full_name());
  } else if (setting != nullptr) {
    hint = fmt::format("{}: {}", setting->full_name(), setting->sentence);
  }
  throw UsageError(fmt::format("unknown flag {}", name), hint);
}

constexpr std::string_view how_to_set = "settings are written section.key value or section.key=value";

/// A word that belongs to another program's command line.
struct KnownWord {
  std::string_view word;
  std::string_view hint;
};
constexpr std::string_view no_device =
    "leave it out: there is no choice of device here, and mpirun or srun starts the ranks";
constexpr std::string_view no_mode =
    "the mode is a flag: -m train, eval, train_and_eval, eval_all, predict or prepare_data";
constexpr std::string_view no_command = "leave it out: fcmnist_mpi has flags and settings, and no commands";
constexpr KnownWord known_words[] = {
    {"cpu", no_device},
    {"gpu", no_device},
    {"csx", no_device},
    {"pipeline", "leave it out, or write runconfig.execution layer_pipelined"},
    {"train", no_mode},
    {"weight_streaming", "leave it out: layers lie on the ranks that mpirun or srun starts"},
    {"eval", no_mode},
    {"eval_all", no_mode},
    {"predict", no_mode},
    {"prepare_data", no_mode},
    {"train_and_eval", no_mode},
    {"run.py", no_command},
    {"fit", no_command},
    {"validate", no_command},
    {"python", no_command},
};

[[noreturn]] void refuse_argument(const std::string& argument) {
  std::string hint = fmt::format("{}; quote a value that contains spaces", how_to_set);
  const std::string word = lower_case(argument);
  const auto* known = std::ranges::find(known_words, word, &KnownWord::word);
  if (known != std::end(known_words)) {
    hint = known->hint;
  } else if (word.ends_with(".yaml") || word.ends_with(".yml")) {
    hint = fmt::format("a file of settings is named by a flag: -p {}", argument);
  } else if (const std::string meant = nearest_key(argument.substr(0, argument.find_first_of("=:")));
             !meant.empty()) {
    hint = fmt::format("did you mean {}?", meant);
  }
  throw UsageError(fmt::format("unexpected argument '{}'", argument), hint);
}

/// A key has no such ending.
bool names_a_file(const std::string& text) {
  return text.ends_with(".yaml") || text.ends_with(".yml") || text.ends_with(".py");
}

/// Whether a word is meant as a key, right or wrong.
bool looks_like_key(const std::string& text) {
  const std::size_t dot = text.find('.');
  return dot != std::string::npos &&
         std::ranges::find(section_names(), text.substr(0, dot)) != section_names().end();
}

/// Refuses "key: value", "key = value" and what is between them. `at` is the place of the key in `arguments`.
void refuse_spaced_or_yaml(const std::vector<std::string>& arguments, std::size_t at) {
  const std::string& argument = arguments[at];
  const std::string key = argument.substr(0, argument.find_first_of("=:"));
  const std::string next = at + 1 < arguments.size() ? arguments[at + 1] : std::string();
  const auto refuse = [&](const std::string& written, const char* what) {
    throw UsageError(fmt::format("'{}': {}", written, what),
                     fmt::format("{0}=VALUE or {0} VALUE, without spaces around the \"=\"", key));
  };
  constexpr const char* of_yaml = "a \":\" after a key is YAML, for files";
  constexpr const char* spaced = "spaces around a \"=\"";
  if (argument.size() > key.size() && argument[key.size()] == ':') {
    refuse(argument.ends_with(':') && !next.empty() ? argument + " " + next : argument, of_yaml);
  }
  if (argument == key) {
    if (next == ":" || (next.starts_with(':') && next.size() > 1)) refuse(key + " " + next, of_yaml);
    if (next.starts_with('=')) refuse(key + " " + next, spaced);
  } else if (argument.size() == key.size() + 1 && !next.empty() && !next.starts_with("--") &&
             !looks_like_key(next.substr(0, next.find('=')))) {
    refuse(argument + " " + next, spaced);
  }
}

}  // namespace

std::vector<Override> read_overrides(const std::vector<std::string>& arguments,
                                     const std::vector<std::string>& flags) {
  std::vector<Override> overrides;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.starts_with('-')) refuse_flag(argument, flags);
    const std::size_t equals = argument.find('=');
    const std::string key = argument.substr(0, equals);
    if (looks_like_key(argument.substr(0, argument.find_first_of("=:")))) refuse_spaced_or_yaml(arguments, i);
    if (key.find('.') == std::string::npos || names_a_file(key)) refuse_argument(argument);
    if (equals != std::string::npos) {
      overrides.push_back({key, argument.substr(equals + 1)});
    } else if (i + 1 < arguments.size() && !arguments[i + 1].starts_with("--")) {
      overrides.push_back({key, arguments[++i]});  // one dash may begin a negative number
    } else {
      throw UsageError(fmt::format("{}: no value", key), fmt::format("write {} VALUE or {}=VALUE", key, key));
    }
  }
  return overrides;
}

}  // namespace fcmnist::config
