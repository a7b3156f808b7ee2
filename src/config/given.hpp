#pragma once

#include <map>
#include <string>

#include "config/value.hpp"

namespace fcmnist::config {

/// Who said it; a later one overrides an earlier one.
enum class Layer { built_in, file, command_line };

/// Which keys were given, by whom and where: what relations between keys are settled by.
class Given {
 public:
  struct Entry {
    Layer layer = Layer::built_in;
    Place where = "built-in settings";
    std::string found;       ///< the value, for messages
    bool speaks_up = false;  ///< a key without effect whose sentence is to be logged
  };

  void add(const std::string& full_name, Entry entry) { entries_[full_name] = std::move(entry); }

  /// The entry of a key; one of the built-in layer if nobody gave it.
  [[nodiscard]] const Entry& operator[](const std::string& full_name) const {
    static const Entry none;
    const auto found = entries_.find(full_name);
    return found == entries_.end() ? none : found->second;
  }
  [[nodiscard]] bool has(const std::string& full_name) const { return entries_.contains(full_name); }
  [[nodiscard]] Layer layer(const std::string& full_name) const { return (*this)[full_name].layer; }
  [[nodiscard]] const Place& where(const std::string& full_name) const { return (*this)[full_name].where; }

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace fcmnist::config
