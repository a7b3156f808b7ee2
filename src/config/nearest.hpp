#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fcmnist::config {

/// Edits (insert, delete, replace one character) that turn `a` into `b`. Levenshtein 1966.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name that `word` is probably a slip of: the closest one, if at most a third of the word (or 2
/// characters) differs; otherwise empty. The first of equally close ones.
std::string nearest(std::string_view word, std::span<const std::string> names);

}  // namespace fcmnist::config
