#include "config/readers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "config/duration.hpp"
#include "config/nearest.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

bool is_plain(const Value& value) { return value.kind == Value::Kind::scalar && !value.quoted; }

/// Reads all of `text` into `number`. Returns std::errc{} when it is a T.
template <class T>
std::errc parse_number(std::string_view text, T& number) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return error;
  return end == text.data() + text.size() ? error : std::errc::invalid_argument;
}

template <class T>
std::string integer_range(T least, T most) {
  if (most == std::numeric_limits<T>::max()) return fmt::format("a whole number, at least {}", least);
  return fmt::format("a whole number from {} to {}", least, most);
}

}  // namespace

void unexpected(const Value& value, const std::string& key, std::string_view expected,
                std::string_view hint) {
  if (hint.empty() && value.kind == Value::Kind::none) hint = "for the default, leave the key out";
  throw UsageError(fmt::format("{}: {}: expected {}, found {}", value.where, key, expected, describe(value)),
                   hint);
}

bool read_bool(const Value& value, const std::string& key) {
  const std::string word = lower_case(value.text);
  if (is_plain(value)) {
    if (word == "true" || word == "yes" || word == "on") return true;
    if (word == "false" || word == "no" || word == "off") return false;
  }
  unexpected(value, key, "True or False");
}

template <class T>
T read_integer(const Value& value, const std::string& key, T least, T most) {
  T number{};
  const bool is_number = is_plain(value) && parse_number(value.text, number) == std::errc{};
  if (!is_number || number < least || number > most) unexpected(value, key, integer_range(least, most));
  return number;
}
template int read_integer(const Value&, const std::string&, int, int);
template long read_integer(const Value&, const std::string&, long, long);
template std::uint64_t read_integer(const Value&, const std::string&, std::uint64_t, std::uint64_t);

double read_number(const Value& value, const std::string& key, const NumberRange& range) {
  double number = 0;
  const std::errc error = is_plain(value) ? parse_number(value.text, number) : std::errc::invalid_argument;
  if (error == std::errc::result_out_of_range) {
    unexpected(value, key, std::string(range.text) + " that fits in double precision");
  }
  const bool above = range.least_included ? number >= range.least : number > range.least;
  const bool below = range.limit_included ? number <= range.limit : number < range.limit;
  // NaN and infinity fail the comparisons.
  if (error != std::errc{} || !above || !below) unexpected(value, key, range.text);
  return number == 0 ? 0 : number;  // -0 would be written as another text
}

std::string read_text(const Value& value, const std::string& key) {
  const bool is_line = value.text.find_first_of("\n\r\t") == std::string::npos;
  if (value.kind != Value::Kind::scalar || value.text.empty() || !is_line)
    unexpected(value, key, "one line of text");
  return value.text;
}

std::vector<int> read_integers(const Value& value, const std::string& key, int least, int most) {
  const std::string expected = fmt::format("a list of whole numbers from {} to {}", least, most);
  if (value.kind == Value::Kind::none || value.kind == Value::Kind::mapping) unexpected(value, key, expected);
  if (value.kind == Value::Kind::scalar) return {read_integer(value, key, least, most)};
  std::vector<int> numbers;
  for (const Value& item : value.items) numbers.push_back(read_integer(item, key, least, most));
  return numbers;
}

std::vector<std::string> read_texts(const Value& value, const std::string& key) {
  if (value.kind == Value::Kind::scalar) return {read_text(value, key)};
  if (value.kind != Value::Kind::list || value.items.empty())
    unexpected(value, key, "a list of texts, not empty");
  std::vector<std::string> texts;
  for (const Value& item : value.items) texts.push_back(read_text(item, key));
  return texts;
}

std::string read_path(const Value& value, const std::string& key,
                      const std::optional<Environment>& environment) {
  const std::string text = read_text(value, key);
  if (!environment) return unquote_dollars(text);
  return expand_path(text, *environment, value.where + ": " + key);
}

MaxTime read_max_time(const Value& value, const std::string& key) {
  const bool is_scalar = value.kind == Value::Kind::scalar;
  const std::string text = lower_case(value.text);
  if (is_scalar && (text == "none" || text == "unlimited" || text == "infinite")) return {};
  if (is_scalar && text == "auto") return {0, true};
  const std::optional<long> seconds = is_scalar ? seconds_of_slurm_time(text) : std::nullopt;
  if (seconds.value_or(0) == 0) {
    unexpected(
        value, key,
        "a time above 0 as Slurm writes it (minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S), or auto, or none");
  }
  return {*seconds, false};
}

bool is_null(const Value& value) {
  if (value.kind == Value::Kind::none) return true;
  return is_plain(value) && (value.text == "~" || lower_case(value.text) == "null");
}

std::size_t read_word(const Value& value, const std::string& key, std::span<const std::string> words) {
  const std::string word = lower_case(value.text);
  if (value.kind == Value::Kind::scalar) {
    const auto found = std::find(words.begin(), words.end(), word);
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  }
  const std::string meant = nearest(word, words);
  unexpected(value, key, fmt::format("one of {}", fmt::join(words, ", ")),
             meant.empty() ? "" : fmt::format("did you mean {}?", meant));
}

std::string write(bool value) { return value ? "True" : "False"; }

std::string write(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string write(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

std::string write(const std::vector<int>& values) { return fmt::format("[{}]", fmt::join(values, ", ")); }

std::string write(const std::vector<std::string>& values) {
  std::vector<std::string> quoted;
  quoted.reserve(values.size());
  for (const std::string& value : values) quoted.push_back(write(value));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

std::string write(const MaxTime& value) {
  if (value.is_job_end) return "auto";
  if (value.seconds == 0) return "none";
  // In quotes, since YAML 1.1 takes the bare text for a number to the base of 60.
  return fmt::format("\"{:02}:{:02}:{:02}\"", value.seconds / 3600, value.seconds / 60 % 60,
                     value.seconds % 60);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

}  // namespace fcmnist::config
