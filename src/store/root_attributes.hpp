#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "store/hdf5.hpp"
#include "store/manifest.hpp"
#include "store/sealed_file.hpp"

/// The attributes of the root group, which both files have: format, configuration text and manifest. Internal
/// to `store`.
namespace fcmnist::store {

/// An attribute of metrics files: the number of the newest journal record whose content is in the file.
inline constexpr const char* journal_records = "journal_records";

/// Whether an attribute is one of the format itself. No manifest entry may have its name.
bool is_format_attribute(std::string_view name);

/// The texts that an attribute can have.
inline constexpr std::size_t longest_list = 4000;

/// Lists of more than longest_list texts are shortened, and their last text says so. In the old file format an
/// attribute has at most 64 kB, and each text takes 16 bytes of them. The letters themselves are stored
/// elsewhere, so texts may have any length.
void write_root_attributes(const hdf5::Group& root, FileKind kind, const std::string& config_yaml,
                           const Manifest& manifest);

std::string read_config_yaml(const hdf5::Group& root);
Manifest read_manifest(const hdf5::Group& root);

/// The value of an attribute. Throws StoreError if it is not a T.
template <class T>
T read_attribute(const hdf5::Group& group, std::string_view name) {
  const hdf5::Attribute value = group.attribute(name);
  if (const T* found = std::get_if<T>(&value)) return *found;
  throw StoreError(group.where(name) + ": the attribute is of another type than expected");
}

}  // namespace fcmnist::store
