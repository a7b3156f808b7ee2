#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fcmnist::data {

/// "a, b, c" for messages. (fmt::join would do, but g++ 12 warns inside it at -O3.)
inline std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

}  // namespace fcmnist::data
