#include "config/paths.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>

#include "config/utf8.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

bool begins_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool continues_name(char c) { return begins_name(c) || std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// What stands at a "$".
struct Reference {
  std::string_view name;   ///< of the variable; empty if this is no reference
  std::size_t length = 0;  ///< with the "$" and the braces
};

/// `text` begins with a "$".
Reference reference_at(std::string_view text) {
  const bool braced = text.size() > 1 && text[1] == '{';
  const std::size_t begin = braced ? 2 : 1;
  std::size_t end = begin;
  if (end < text.size() && begins_name(text[end])) {
    while (end < text.size() && continues_name(text[end])) ++end;
  }
  if (end == begin) return {};
  if (!braced) return {text.substr(begin, end - begin), end};
  if (end == text.size() || text[end] != '}') return {};
  return {text.substr(begin, end - begin), end + 1};
}

/// The value of a variable that must have one.
const std::string& value_of(std::string_view name, const Environment& variables, std::string_view path,
                            const std::string& place) {
  const auto found = variables.find(name);
  const bool is_set = found != variables.end();
  if (is_set &&
      (first_not_text(found->second) || found->second.find_first_of("\n\r\t") != std::string::npos)) {
    throw UsageError(fmt::format("{}: {}: the value of {} is not one line of text", place, path, name),
                     "write the path itself");
  }
  if (is_set && !found->second.empty()) return found->second;
  throw UsageError(
      fmt::format("{}: {}: the variable {} is {}", place, path, name, is_set ? "empty" : "not set"),
      fmt::format("export {}=..., or write the path itself; \"$$\" stands for a \"$\" that is meant as such",
                  name));
}

std::string expand_home(const std::string& path, const Environment& variables, const std::string& place) {
  if (!path.starts_with('~')) return path;
  if (path.size() > 1 && path[1] != '/') {
    throw UsageError(fmt::format("{}: {}: homes of other users are not looked up", place, path),
                     "write the path itself; \"~/\" is your own home, \"./~\" a name that begins so");
  }
  const std::string& home = value_of("HOME", variables, path, place);
  if (!home.starts_with('/')) {
    throw UsageError(fmt::format("{}: {}: HOME is '{}', expected an absolute path", place, path, home),
                     "write the path itself");
  }
  return home + path.substr(1);
}

}  // namespace

void add_named_variables(std::string_view text, Environment& variables) {
  const auto add = [&](const std::string& name) {
    if (const char* value = std::getenv(name.c_str())) variables[name] = value;
  };
  add("HOME");
  for (std::size_t i = text.find('$'); i != std::string_view::npos; i = text.find('$', i + 1)) {
    add(std::string(reference_at(text.substr(i)).name));
  }
}

std::string to_text(const Environment& variables) {
  std::string text;
  for (const auto& [name, value] : variables) text += name + '=' + value + '\0';
  return text;
}

Environment environment_of_text(std::string_view text) {
  Environment variables;
  while (!text.empty()) {
    const std::string_view entry = text.substr(0, text.find('\0'));
    const std::size_t equals = entry.find('=');
    variables[std::string(entry.substr(0, equals))] = entry.substr(equals + 1);
    text.remove_prefix(entry.size() + 1);
  }
  return variables;
}

std::string expand_variables(std::string_view text, const Environment& variables, const std::string& place) {
  std::string expanded;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      expanded += text[i++];
    } else if (text.substr(i).starts_with("$$")) {
      expanded += '$';
      i += 2;
    } else if (const Reference found = reference_at(text.substr(i)); found.length > 0) {
      expanded += value_of(found.name, variables, text, place);
      i += found.length;
    } else {
      throw UsageError(fmt::format("{}: {}: expected a name after the \"$\"", place, text),
                       "$NAME and ${NAME} stand for variables of the environment, \"$$\" for a \"$\" itself");
    }
  }
  return expanded;
}

std::string expand_path(std::string_view path, const Environment& variables, const std::string& place) {
  // In this order, since a variable that was set in quotes may hold a "~".
  return expand_home(expand_variables(path, variables, place), variables, place);
}

std::string quote_dollars(std::string_view path) {
  std::string quoted;
  for (const char c : path) {
    if (c == '$') quoted += '$';
    quoted += c;
  }
  return quoted;
}

std::string unquote_dollars(std::string_view text) {
  std::string unquoted;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("$$")) ++i;
    unquoted += text[i];
  }
  return unquoted;
}

}  // namespace fcmnist::config
