#include "core/text.hpp"

#include <fmt/format.h>

#include <cmath>

namespace fcmnist {

std::string span_text(std::size_t least, std::size_t most) {
  return least == most ? std::to_string(least) : fmt::format("{} to {}", least, most);
}

std::string span_text(Range bounds) { return span_text(bounds.begin, bounds.end); }

std::string bytes_text(std::size_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (number < 1e5) return fmt::format("{:.3g} kB", number / 1e3);
  return number < 1e9 ? fmt::format("{:.1f} MB", number / 1e6) : fmt::format("{:.2f} GB", number / 1e9);
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  return seconds < 1.0 ? fmt::format("{:.2f} ms", seconds * 1e3) : fmt::format("{:.2f} s", seconds);
}

std::string format_duration(double seconds) {
  const auto total = static_cast<long>(std::lround(seconds));
  return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
}

const char* plural(std::size_t count, const char* ending) { return count == 1 ? "" : ending; }

std::string first_to_last(const char* one, const char* several, std::size_t first, std::size_t last) {
  return first == last ? fmt::format("{} {}", one, first) : fmt::format("{} {}-{}", several, first, last);
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

}  // namespace fcmnist
