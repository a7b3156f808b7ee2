#pragma once

#include <map>
#include <string>
#include <string_view>

namespace fcmnist::config {

/// Variables of an environment that paths may name. On several ranks it is that of rank 0, since the environment
/// may differ from node to node.
using Environment = std::map<std::string, std::string, std::less<>>;

/// Adds HOME, and each variable that `text` names with a "$", as far as this process has them.
void add_named_variables(std::string_view text, Environment& variables);

/// An environment as one text, for other ranks, and back.
std::string to_text(const Environment& variables);
Environment environment_of_text(std::string_view text);

/// The path that a person means: "$NAME" and "${NAME}" stand for variables, "$$" for "$", and then "~" alone or
/// before a "/" stands for HOME. The result is taken as it is by everything else.
///
/// Throws UsageError that begins with `place` for: a variable that is not set or empty, any other "$", "~user",
/// "~" where HOME is no absolute path.
std::string expand_path(std::string_view path, const Environment& variables, const std::string& place);

/// Only the variables and "$$" of a text, which need not be a path.
std::string expand_variables(std::string_view text, const Environment& variables, const std::string& place);

/// Writes a path so that expand_path gives it again: with "$$" for "$".
std::string quote_dollars(std::string_view path);
/// Undoes quote_dollars, and leaves all else as it is: for texts that this program wrote.
std::string unquote_dollars(std::string_view text);

}  // namespace fcmnist::config
