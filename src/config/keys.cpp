#include "config/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/key_tables.hpp"
#include "config/nearest.hpp"
#include "config/synonyms.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

Key& append_key(const SectionTable& table, const char* name, KeyKind kind, std::vector<Key>& keys) {
  Key& key = keys.emplace_back();
  key.section = table.name;
  key.name = name;
  key.kind = kind;
  return key;
}

bool is_empty(const Value& value) {
  return value.kind == Value::Kind::none ||
         (value.kind != Value::Kind::scalar && value.items.empty() && value.entries.empty());
}

/// Whether two words are the same value: "0" and "0.0", "False" and "no".
bool same_value(const std::string& one, const std::string& other) {
  const auto as_json = [](const std::string& text) {
    const std::string word = lower_case(text);
    double number = 0;
    const char* end = word.data() + word.size();
    if (const auto read = std::from_chars(word.data(), end, number);
        read.ec == std::errc{} && read.ptr == end) {
      return write(number);
    }
    if (word == "yes" || word == "on") return std::string("true");
    return word == "no" || word == "off" ? std::string("false") : word;
  };
  return as_json(one) == as_json(other);
}

void check_fixed(const FixedRow& row, const Value& value, const std::string& key) {
  const bool is_scalar = value.kind == Value::Kind::scalar;
  if (is_empty(value) || (is_scalar && *row.value != '\0' && same_value(value.text, row.value))) return;
  throw UsageError(fmt::format("{}: {}: {}, found {}", value.where, key, row.sentence, describe(value)),
                   row.hint);
}

void append_keys(const SectionTable& table, std::vector<Key>& keys) {
  for (const SettingRow& row : table.settings) {
    Key& key = append_key(table, row.name, row.setting.write ? KeyKind::active : KeyKind::alias, keys);
    key.read = row.setting.read;
    key.write = row.setting.write;
    if (row.setting.may_be_null) key.reset = row.setting.reset;
    key.resume_may_change = row.on_resume == OnResume::may_change;
  }
  for (const OtherNameRow& row : table.other_names) {
    Key& key = append_key(table, row.name, KeyKind::other_name, keys);
    key.stands_for = row.key;
    key.translate = row.translate;
  }
  for (const InertRow& row : table.inert) {
    Key& key = append_key(table, row.name, KeyKind::inert, keys);
    key.logs_sentence = row.logs_sentence;
    key.sentence = row.sentence;
  }
  for (const FixedRow& row : table.fixed) {
    Key& key = append_key(table, row.name, KeyKind::fixed, keys);
    key.sentence = row.sentence;
    key.read = [row](const Value& value, const std::string& name, Draft&) { check_fixed(row, value, name); };
  }
  for (const RefusedRow& row : table.refused) {
    Key& key = append_key(table, row.name, KeyKind::refused, keys);
    key.sentence =
        fmt::format("this is a setting of {}, which comes in a later release; SGD has none", row.owner);
  }
}

}  // namespace

const std::vector<Key>& all_keys() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> all;
    for (const auto& table :
         {train_input_table, eval_input_table, model_table, optimizer_table, runconfig_table}) {
      append_keys(table(), all);
    }
    return all;
  }();
  return keys;
}

const Key* find_key(std::string_view full_name) {
  const auto& keys = all_keys();
  const auto found = std::ranges::find(keys, full_name, &Key::full_name);
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
  if (const std::string meant = synonym(name); !meant.empty()) {
    const std::string in_section = section + meant.substr(meant.find('.'));
    return find_key(in_section) != nullptr ? in_section : meant;
  }
  // Names are compared without the section, because its length would make strangers look alike.
  std::vector<std::string> names;
  for (const Key& key : all_keys()) {
    if (key.name == name) return key.full_name();
    if (key.section == section && key.kind != KeyKind::refused) names.push_back(key.name);
  }
  const std::string meant = nearest(name, names);
  return meant.empty() ? meant : section + "." + meant;
}

}  // namespace fcmnist::config
