#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "config/keys.hpp"
#include "config/readers.hpp"

namespace fcmnist::config {

// The words of which the tables of keys_*.cpp are made. A key is one row:
//
//   key         on resume  kind of value, the member of RunConfig that it sets, range
//   {"momentum", keeps,     number(optimizer(&Options::momentum), fraction)},

/// Whether a resumed run may give the key another value than the run that wrote the checkpoint.
enum class OnResume { keeps, may_change };
inline constexpr OnResume keeps = OnResume::keeps, may_change = OnResume::may_change;

/// How a value gets into the configuration, and how it is written. Without `write`, to_yaml leaves the key out.
/// `reset` undoes `read`; null asks for it where it `may_be_null`.
struct Setting {
  Key::Read read;
  Key::Write write;
  Key::Reset reset = nullptr;
  bool may_be_null = false;
};

/// A key that sets something.
struct SettingRow {
  const char* name;
  OnResume on_resume;
  Setting setting;
};

// What the value of an inert key must be, and whether its sentence is logged for this value.
inline bool any_value(const Value&, const std::string&) { return true; }
inline bool any_bool(const Value& v, const std::string& key) { return read_bool(v, key), true; }
inline bool only_true(const Value& v, const std::string& key) { return read_bool(v, key); }
inline bool any_number(const Value& v, const std::string& key) {
  return read_number(v, key, not_negative), true;
}

/// A key of the reference that changes nothing here.
struct InertRow {
  const char* name;
  const char* sentence;
  bool (*logs_sentence)(const Value&, const std::string& key) = any_value;
};

/// Another name of a key: of the reference's other releases, or of PyTorch.
struct OtherNameRow {
  const char* name;
  const char* key;  ///< "section.name"
  Value (*translate)(const Value&, const std::string& key) = nullptr;
};

/// A key of the reference that takes one value here, which is what happens anyway. null and an empty list or
/// mapping always pass.
struct FixedRow {
  const char* name;
  const char* value;     ///< "" means that only null passes
  const char* sentence;  ///< why there is no other
  const char* hint = "delete this key";
};

/// A key of an optimizer that comes in a later release.
struct RefusedRow {
  const char* name;
  const char* owner;
};

/// One section of the configuration. The tables live as long as the program.
struct SectionTable {
  const char* name;
  std::span<const SettingRow> settings;  ///< in the order in which to_yaml writes them
  std::span<const OtherNameRow> other_names;
  std::span<const InertRow> inert;
  std::span<const FixedRow> fixed;
  std::span<const RefusedRow> refused;
};

SectionTable train_input_table();
SectionTable eval_input_table();
SectionTable model_table();
SectionTable optimizer_table();
SectionTable runconfig_table();

/// A way to members of one part of the RunConfig: in(&RunConfig::run)(&RunOptions::seed) is a function from a
/// RunConfig, constant or not, to its run.seed. A longer list of members leads further inside.
template <class Part>
constexpr auto in(Part part) {
  return [part](auto... members) {
    return [ part, members... ](auto& config) -> auto& { return ((config.*part).*....*members); };
  };
}

template <class Member>
using Type = std::remove_cvref_t<std::invoke_result_t<Member, RunConfig&>>;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

inline constexpr auto as_text = [](const auto& value) { return write(value); };

// Kinds of values. `member` is a function from in(). A member that is a std::optional is written only when it
// has a value.

/// Whatever `read(value, key)` returns and `write` turns into text again.
template <class Member, class Reader, class Writer = decltype(as_text)>
Setting setting(Member member, Reader read, Writer write = as_text) {
  return {[=](const Value& value, const std::string& key, Draft& draft) {
            member(draft.config) = read(value, key);
          },
          [=](const RunConfig& config) -> std::string {
            const auto& value = member(config);
            if constexpr (is_optional<Type<Member>>) {
              return value ? write(*value) : std::string();
            } else {
              return write(value);
            }
          },
          [=](const RunConfig& unset, Draft& draft) { member(draft.config) = member(unset); }};
}

template <class Member>
Setting boolean(Member member) {
  return setting(member, read_bool);
}

template <class Member>
Setting number(Member member, NumberRange range) {
  return setting(member,
                 [range](const Value& v, const std::string& key) { return read_number(v, key, range); });
}

template <class Member, class T = Type<Member>>
Setting integer(Member member, std::type_identity_t<T> least,
                std::type_identity_t<T> most = std::numeric_limits<T>::max()) {
  return setting(
      member, [=](const Value& v, const std::string& key) { return read_integer(v, key, least, most); },
      write_integer<T>);
}

/// An integer above 0, where 0 in the RunConfig means that another key says it. 0 is not written.
template <class Member, class T = Type<Member>>
Setting integer_if_given(Member member, std::type_identity_t<T> most) {
  Setting given = integer(member, 1, most);
  given.write = [=](const RunConfig& c) { return member(c) > 0 ? write_integer(member(c)) : std::string(); };
  return given;
}

/// One line of text.
template <class Member>
Setting text(Member member) {
  return setting(member, read_text);
}

/// A path, in which "~/" and "$NAME" are expanded.
template <class Member>
Setting path(Member member) {
  Setting setting = text(member);
  setting.read = [=](const Value& value, const std::string& key, Draft& draft) {
    member(draft.config) = read_path(value, key, draft.environment);
  };
  setting.write = [=](const RunConfig& config) { return write(quote_dollars(member(config))); };
  return setting;
}

/// One of the words of `choices`, which must live as long as the program.
template <class Member, class T, std::size_t n>
Setting choice(Member member, const Choice<T> (&choices)[n]) {
  return setting(
      member, [&choices](const Value& v, const std::string& key) { return read_choice(v, key, choices); },
      [&choices](T value) { return write_choice(value, choices); });
}

/// A number for relations.hpp, which turns it into what another key says.
template <class T>
Setting in_draft(std::optional<T> Draft::*member, std::type_identity_t<T> least,
                 std::type_identity_t<T> most) {
  return {[=](const Value& v, const std::string& key, Draft& draft) {
            draft.*member = read_integer(v, key, least, most);
          },
          nullptr, [=](const RunConfig&, Draft& draft) { (draft.*member).reset(); }};
}

/// The same setting, but to_yaml leaves the key out.
inline Setting not_written(Setting setting) {
  setting.write = nullptr;
  return setting;
}

/// The same setting, where null means that the key is not given.
inline Setting optional(Setting setting) {
  setting.may_be_null = true;
  return setting;
}

/// A key that takes one word only, because there is nothing else to choose yet.
inline Setting only_word(const std::string& word, const std::string& hint) {
  return {[=](const Value& v, const std::string& key, Draft&) {
            const bool is_none = v.kind == Value::Kind::none;
            if (is_none || lower_case(read_text(v, key)) != word) unexpected(v, key, word, hint);
          },
          [=](const RunConfig&) { return write(word); }};
}

}  // namespace fcmnist::config
