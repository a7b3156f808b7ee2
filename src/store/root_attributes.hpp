#pragma once

#include <string>
#include <string_view>

#include "store/hdf5.hpp"
#include "store/manifest.hpp"
#include "store/sealed_file.hpp"

/// What both files have in common: format, configuration text and manifest, as attributes of the root group.
/// Internal.
namespace fcmnist::store {

/// Attribute of metrics files: number of the newest journal record whose content is in the file.
inline constexpr const char* journal_records = "journal_records";

/// Attributes of the format itself, which no manifest entry may be named after.
bool is_format_attribute(std::string_view name);

/// Lists of more than 4,000 texts are shortened and say so: attributes in the old file format end at 64 kB,
/// of which each text takes 16 bytes (the letters themselves are stored elsewhere, so that texts may be of
/// any length).
void write_root_attributes(const hdf5::Group& root, FileKind kind, const std::string& config_yaml,
                           const Manifest& manifest);

std::string read_config_yaml(const hdf5::Group& root);
Manifest read_manifest(const hdf5::Group& root);

/// An attribute that must be a T; StoreError otherwise.
template <class T>
T read_attribute(const hdf5::Group& group, std::string_view name) {
  const hdf5::Attribute value = group.attribute(name);
  if (const T* found = std::get_if<T>(&value)) return *found;
  throw StoreError(group.where(name) + ": the attribute is of another type than expected");
}

}  // namespace fcmnist::store
