#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"
#include "config/value.hpp"

namespace fcmnist::config {

/// A configuration while its keys are read: what several keys say together is settled afterwards
/// (relations.hpp).
struct Draft {
  RunConfig config;
  std::optional<int> depth;
  std::optional<int> hidden_size;
  std::optional<long> num_steps;
};

enum class KeyKind {
  active,   ///< sets something
  alias,    ///< sets something that an active key writes, or that is for this run alone
  inert,    ///< accepted because the reference has it; changes nothing here, and a line says so
  warning,  ///< inert, and worth a warning
  refused,  ///< its feature is not in this release
};

/// One row of the table that drives everything: reading, writing, resuming and the messages about a key.
struct Key {
  using Read = std::function<void(const Value&, const std::string& key, Draft&)>;
  using Write = std::function<std::string(const RunConfig&)>;
  using SpeaksUp = std::function<bool(const Value&, const std::string& key)>;

  std::string section;
  std::string name;
  KeyKind kind = KeyKind::active;
  Read read;                       ///< active, alias: checks the value and stores it
  Write write;                     ///< active: the value as YAML; empty when another key says it
  bool resume_may_change = false;  ///< active, alias
  SpeaksUp speaks_up;    ///< inert, warning: checks the value; true when the sentence is to be logged
  std::string sentence;  ///< inert, warning: what the key does here; refused: why

  [[nodiscard]] std::string full_name() const { return section + "." + name; }
};

/// All keys, in the order in which to_yaml writes them.
const std::vector<Key>& all_keys();

/// The row of "section.name"; nullptr if there is none.
const Key* find_key(std::string_view full_name);

/// The sections, in the order of the reference's file.
const std::vector<std::string>& section_names();

/// The key that is probably meant by an unknown "section.name": the nearest one of the section, or the same
/// name in another section; empty if nothing is near.
std::string nearest_key(std::string_view full_name);

}  // namespace fcmnist::config
