#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fcmnist::config {

/// A place in a configuration that a person can go to: "params.yaml:12", "command line", "--max_steps".
using Place = std::string;

/// A value as somebody wrote it, before anything knows what it should be. Mappings keep their order and their
/// duplicate keys, so that a reader can complain about them.
struct Value {
  enum class Kind { none, scalar, list, mapping };
  struct Entry;

  Kind kind = Kind::none;
  std::string text;            ///< of a scalar, without its quotes
  bool quoted = false;         ///< a scalar in quotes is text, whatever it looks like
  std::vector<Value> items;    ///< of a list
  std::vector<Entry> entries;  ///< of a mapping
  Place where;

  [[nodiscard]] const Value* find(std::string_view key) const;
};

struct Value::Entry {
  std::string key;
  Place where;  ///< the place of the key
  Value value;
};

/// Parses YAML text, one document, into values whose places are "<name>:<line>".
///
/// Throws UsageError with the line for: more than 1 MiB, text that is not UTF-8 or has control characters,
/// YAML that is wrong, nesting deeper than 32 levels, keys that are not plain text, duplicate keys, tags,
/// several documents.
Value parse_yaml(const std::string& text, const std::string& name);

/// The value of an override: text that starts like a list, a mapping or a quoted string is read as YAML, all
/// other text is taken literally, so that paths need no quoting.
Value parse_override(const std::string& text, const Place& where);

/// How messages call a value that was found: "'1.5'", "the string \"128\"", "a list", "a mapping", "no value".
std::string describe(const Value& value);

}  // namespace fcmnist::config
