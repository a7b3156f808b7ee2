#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace fcmnist::config {

/// Offset of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7) or that is a
/// control character other than tab, line feed and carriage return; nothing when all is text.
std::optional<std::size_t> first_not_text(std::string_view text);

}  // namespace fcmnist::config
