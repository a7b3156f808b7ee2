#include "config/keys.hpp"

#include <algorithm>

#include "config/key_rows.hpp"
#include "config/nearest.hpp"

namespace fcmnist::config {

const std::vector<Key>& all_keys() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> all;
    for (const auto& rows : {train_input_keys, eval_input_keys, model_keys, optimizer_keys, runconfig_keys}) {
      std::vector<Key> section = rows();
      std::move(section.begin(), section.end(), std::back_inserter(all));
    }
    return all;
  }();
  return keys;
}

const Key* find_key(std::string_view full_name) {
  const auto& keys = all_keys();
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.full_name() == full_name; });
  return found == keys.end() ? nullptr : &*found;
}

const std::vector<std::string>& section_names() {
  static const std::vector<std::string> names = {"train_input", "eval_input", "model", "optimizer",
                                                 "runconfig"};
  return names;
}

std::string nearest_key(std::string_view full_name) {
  const std::size_t dot = full_name.find('.');
  const std::string name(dot == std::string_view::npos ? full_name : full_name.substr(dot + 1));
  std::string section(dot == std::string_view::npos ? std::string_view{} : full_name.substr(0, dot));
  if (const std::string meant = nearest(section, section_names()); !meant.empty()) section = meant;
  if (const Key* key = find_key(section + "." + name)) return key->full_name();
  std::vector<std::string>
      names;  // compared without the section, whose length would make strangers look alike
  for (const Key& key : all_keys()) {
    if (key.name == name) return key.full_name();
    if (key.section == section && key.kind != KeyKind::refused) names.push_back(key.name);
  }
  const std::string meant = nearest(name, names);
  return meant.empty() ? meant : section + "." + meant;
}

}  // namespace fcmnist::config
