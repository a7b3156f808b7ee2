#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"
#include "config/value.hpp"

namespace fcmnist::config {

/// A configuration while its keys are read. What several keys say together is settled afterwards
/// (relations.hpp).
struct Draft {
  RunConfig config;
  std::optional<int> depth;
  std::optional<int> hidden_size;
  std::optional<long> num_steps;
};

enum class KeyKind {
  active,  ///< sets something, and to_yaml writes it
  alias,   ///< sets something, but to_yaml leaves it out: an active key says it, or it is for this start only
  inert,   ///< is accepted because the reference has it, and changes nothing; one logged line says so
  refused,  ///< is an error, because its feature is not in this release
};

/// One row of the table that drives everything: how a key is read and written, whether a resume may change it,
/// and what is said about it.
struct Key {
  using Read = std::function<void(const Value&, const std::string& key, Draft&)>;
  using Write = std::function<std::string(const RunConfig&)>;
  using LogsSentence = std::function<bool(const Value&, const std::string& key)>;

  std::string section;
  std::string name;
  KeyKind kind = KeyKind::active;
  Read read;                       ///< active, alias: checks the value and stores it
  Write write;                     ///< active: the value as YAML; empty when another key says it
  bool resume_may_change = false;  ///< active, alias
  LogsSentence logs_sentence;      ///< inert: checks the value; true when the sentence is to be logged for it
  std::string sentence;            ///< inert: what the key does here; refused: why

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
