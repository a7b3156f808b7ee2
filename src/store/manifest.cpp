#include "store/manifest.hpp"

#include "core/error.hpp"
#include "store/root_attributes.hpp"

namespace fcmnist::store {

void Manifest::add(std::string name, ManifestValue value) {
  FCMNIST_CHECK(!name.empty() && !is_format_attribute(name) && find(name) == nullptr, name);
  entries_.emplace_back(std::move(name), std::move(value));
}

const ManifestValue* Manifest::find(std::string_view name) const {
  for (const auto& [key, value] : entries_) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace fcmnist::store
