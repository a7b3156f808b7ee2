#include "config/value.hpp"

#include <fmt/format.h>

namespace fcmnist::config {

const Value* Value::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::string describe(const Value& value) {
  constexpr std::size_t longest = 60;
  switch (value.kind) {
    case Value::Kind::none:
      return "no value";
    case Value::Kind::list:
      return "a list";
    case Value::Kind::mapping:
      return "a mapping";
    case Value::Kind::scalar:
      break;
  }
  std::string text = value.text;
  if (text.size() > longest) {
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // whole characters
    text = text.substr(0, end) + "...";
  }
  return value.quoted ? fmt::format("the string \"{}\"", text) : fmt::format("'{}'", text);
}

}  // namespace fcmnist::config
