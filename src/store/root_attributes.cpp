#include "store/root_attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fcmnist::store {

namespace {

constexpr std::array<std::string_view, 7> format_attributes = {
    "format", "format_version", "config_yaml", journal_records, "NX_class", "default", "step"};

hdf5::Attribute to_attribute(const ManifestValue& value) {
  const auto* list = std::get_if<std::vector<std::string>>(&value);
  if (list != nullptr && list->size() > longest_list) {
    std::vector<std::string> head(list->begin(), list->begin() + longest_list - 1);
    head.push_back(fmt::format("... and {} more", list->size() - head.size()));
    return head;
  }
  return std::visit([](const auto& v) -> hdf5::Attribute { return v; }, value);
}

ManifestValue to_manifest_value(const hdf5::Attribute& attribute) {
  return std::visit(
      [](const auto& v) -> ManifestValue {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::uint64_t>) {
          return static_cast<std::int64_t>(v);
        } else {
          return v;
        }
      },
      attribute);
}

}  // namespace

bool is_format_attribute(std::string_view name) {
  return std::find(format_attributes.begin(), format_attributes.end(), name) != format_attributes.end();
}

void write_root_attributes(const hdf5::Group& root, FileKind kind, const std::string& config_yaml,
                           const Manifest& manifest) {
  root.set("format", fmt::format("fcmnist_mpi {}", name_of(kind)));
  root.set("format_version", std::int64_t{format_version});
  for (const auto& [name, value] : manifest.entries()) root.set(name, to_attribute(value));
  root.set("config_yaml", config_yaml);
}

std::string read_config_yaml(const hdf5::Group& root) {
  return read_attribute<std::string>(root, "config_yaml");
}

Manifest read_manifest(const hdf5::Group& root) {
  Manifest manifest;
  for (const std::string& name : root.attribute_names()) {
    if (!is_format_attribute(name)) manifest.add(name, to_manifest_value(root.attribute(name)));
  }
  return manifest;
}

}  // namespace fcmnist::store
