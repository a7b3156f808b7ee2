#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/share.hpp"

namespace fcmnist {

/// "2" if both bounds are equal, else "1 to 3".
std::string span_text(std::size_t least, std::size_t most);
/// The same for the bounds of a range; its end is named too.
std::string span_text(Range bounds);

/// "1.57 kB", "12.3 MB" or "1.23 GB", in powers of 1000.
std::string bytes_text(std::size_t bytes);

/// "250 us", "1.50 ms" or "2.00 s".
std::string time_text(double seconds);

/// "1:02:03": hours, minutes and seconds, rounded to whole seconds.
std::string format_duration(double seconds);

/// The ending of a noun that is counted: "" for one, else `ending`.
const char* plural(std::size_t count, const char* ending = "s");

/// "layer 0" or "layers 1-2"; `one` and `several` are the noun's two forms. Both ends are named.
std::string first_to_last(const char* one, const char* several, std::size_t first, std::size_t last);

/// Whether `part` occurs in it.
bool contains(std::string_view text, std::string_view part);

/// "a, b, c" if the separator is ", ". (fmt::join would do, but g++ 12 warns inside it at -O3.)
std::string joined(const std::vector<std::string>& parts, std::string_view separator);

}  // namespace fcmnist
