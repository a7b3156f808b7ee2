#pragma once

#include <map>
#include <string>

#include "config/value.hpp"

namespace fcmnist::config {

/// Who gave a value. A later one overrides an earlier one.
enum class GivenBy { nobody, file, command_line };

/// Which keys were given, by whom and where. Relations between keys are settled by this.
class Given {
 public:
  struct Entry {
    GivenBy by = GivenBy::nobody;
    Place where = "built-in settings";
    std::string found;           ///< the value, for messages
    std::string name;            ///< the name of the key as it was written, which may be another one of it
    bool logs_sentence = false;  ///< the key changes nothing, and its sentence is to be logged
  };

  void add(const std::string& full_name, Entry entry) { entries_[full_name] = std::move(entry); }

  void forget(const std::string& full_name) { entries_.erase(full_name); }

  /// The entry of a key; that of `nobody` if it was not given.
  [[nodiscard]] const Entry& operator[](const std::string& full_name) const {
    static const Entry none;
    const auto found = entries_.find(full_name);
    return found == entries_.end() ? none : found->second;
  }
  [[nodiscard]] bool has(const std::string& full_name) const { return entries_.contains(full_name); }
  [[nodiscard]] GivenBy by(const std::string& full_name) const { return (*this)[full_name].by; }
  [[nodiscard]] const Place& where(const std::string& full_name) const { return (*this)[full_name].where; }

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace fcmnist::config
