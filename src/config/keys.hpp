#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/paths.hpp"
#include "config/run_config.hpp"
#include "config/value.hpp"

namespace fcmnist::config {

/// A configuration while its keys are read. What several keys say together is settled afterwards
/// (relations.hpp).
struct Draft {
  RunConfig config;
  std::optional<int> depth;
  std::optional<int> hidden_size;
  std::optional<std::string> logging;  ///< what --logging says otherwise
  /// What paths may name. Without one, paths are taken as this program wrote them.
  std::optional<Environment> environment;
};

enum class KeyKind {
  active,  ///< sets something, and to_yaml writes it
  alias,   ///< sets something, but to_yaml leaves it out: an active key says it, or it is for this start only
  other_name,  ///< is another name of a key
  inert,       ///< is accepted because the reference has it, and changes nothing; one logged line says so
  fixed,       ///< takes only the value that this program has anyway
  refused,     ///< is an error, because its feature is not in this release
};

/// One row of the table that drives everything: how a key is read and written, whether a resume may change it,
/// and what is said about it.
struct Key {
  using Read = std::function<void(const Value&, const std::string& key, Draft&)>;
  using Write = std::function<std::string(const RunConfig&)>;
  using Reset = std::function<void(const RunConfig& unset, Draft&)>;
  using LogsSentence = std::function<bool(const Value&, const std::string& key)>;
  using Translate = std::function<Value(const Value&, const std::string& key)>;

  std::string section;
  std::string name;
  KeyKind kind = KeyKind::active;
  Read read;                       ///< active, alias, fixed: checks the value and stores it
  Write write;                     ///< active: the value as YAML; empty when another key says it
  Reset reset;                     ///< as if the key were not given; the keys that may be null have it
  bool resume_may_change = false;  ///< active, alias
  LogsSentence logs_sentence;      ///< inert: checks the value; true when the sentence is to be logged for it
  std::string sentence;            ///< inert: what the key does here; refused, fixed: why
  std::string stands_for;          ///< other_name: the full name of that key
  Translate translate;             ///< other_name: makes a value of that key; none: it has the same values

  [[nodiscard]] std::string full_name() const { return section + "." + name; }
  /// Whether null means that the key is not given, because the reference has it as an optional value.
  [[nodiscard]] bool may_be_null() const { return reset || kind >= KeyKind::inert; }
};

/// All keys, in the order in which to_yaml writes them.
const std::vector<Key>& all_keys();

/// The row of "section.name"; nullptr if there is none.
const Key* find_key(std::string_view full_name);

/// The sections, in the order of the reference's file.
const std::vector<std::string>& section_names();

/// The key that is probably meant by an unknown "section.name": what another program calls so, the nearest one of
/// the section, or the same name in another section; empty if nothing is near.
std::string nearest_key(std::string_view full_name);

}  // namespace fcmnist::config
