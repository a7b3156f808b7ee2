#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fcmnist::store {

using ManifestValue = std::variant<std::string, std::int64_t, double, std::vector<std::string>>;

/// What a run was: versions, host names, world, seeds and so on, as a list of named values. The caller
/// decides what is in it. The values become root attributes of both files.
class Manifest {
 public:
  /// `name` must be new, and none of the names of the format itself (format, format_version, config_yaml,
  /// journal_records, NX_class, default, step).
  void add(std::string name, ManifestValue value);

  [[nodiscard]] const std::vector<std::pair<std::string, ManifestValue>>& entries() const { return entries_; }
  /// The value of an entry; nullptr if there is no such entry.
  [[nodiscard]] const ManifestValue* find(std::string_view name) const;

  bool operator==(const Manifest&) const = default;

 private:
  std::vector<std::pair<std::string, ManifestValue>> entries_;
};

}  // namespace fcmnist::store
