#include "config/duration.hpp"

#include <array>
#include <charconv>
#include <vector>

namespace fcmnist::config {

namespace {

struct Unit {
  long seconds;
  long limit;  ///< of a number that is not the first
};
constexpr std::array units = {Unit{86400, 0}, Unit{3600, 24}, Unit{60, 60}, Unit{1, 60}};

/// Digits only; -1 for anything else.
long number_of(std::string_view text, std::size_t most_digits) {
  long number = -1;
  if (text.empty() || text.size() > most_digits) return -1;
  if (text.find_first_not_of("0123456789") != std::string_view::npos) return -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// The numbers between the separators: the first one may end with '-', the others with ':'.
std::vector<std::string_view> parts_of(std::string_view text, bool has_days) {
  std::vector<std::string_view> parts;
  char separator = has_days ? '-' : ':';
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
    separator = ':';
  }
}

}  // namespace

std::optional<long> seconds_of_slurm_time(std::string_view text) {
  constexpr std::size_t most_digits_of_first = 6, most_digits = 2;
  const bool has_days = text.find('-') != std::string_view::npos;
  const std::vector<std::string_view> parts = parts_of(text, has_days);
  if (parts.size() > (has_days ? 4U : 3U)) return std::nullopt;
  // A number alone is minutes, two are minutes and seconds, three begin with hours.
  const std::size_t first = has_days ? 0 : parts.size() == 3 ? 1 : 2;
  long seconds = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Unit unit = units.at(first + i);
    const long number = number_of(parts[i], i == 0 ? most_digits_of_first : most_digits);
    if (number < 0 || (i > 0 && number >= unit.limit)) return std::nullopt;
    seconds += number * unit.seconds;
  }
  return seconds;
}

}  // namespace fcmnist::config
