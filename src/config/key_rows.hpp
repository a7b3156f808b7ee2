#pragma once

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "config/keys.hpp"
#include "config/readers.hpp"

namespace fcmnist::config {

// How rows of the table are made. `field` is a generic lambda from a (constant or mutable) RunConfig to the
// member that the key sets: [](auto& c) -> auto& { return c.run.seed; }

std::vector<Key> train_input_keys();
std::vector<Key> eval_input_keys();
std::vector<Key> model_keys();
std::vector<Key> optimizer_keys();
std::vector<Key> runconfig_keys();

enum class Resume { keeps, may_change };

/// More steps than any training has; products with batch sizes still fit in 64 bits.
inline constexpr long most_steps = 1'000'000'000'000;

inline Key active(std::string section, std::string name, Resume resume, Key::Read read, Key::Write write) {
  Key key;
  key.section = std::move(section);
  key.name = std::move(name);
  key.kind = write ? KeyKind::active : KeyKind::alias;
  key.read = std::move(read);
  key.write = std::move(write);
  key.resume_may_change = resume == Resume::may_change;
  return key;
}

template <class Field>
Key bool_key(std::string section, std::string name, Resume resume, Field field) {
  return active(
      std::move(section), std::move(name), resume,
      [field](const Value& v, const std::string& key, Draft& draft) {
        field(draft.config) = read_bool(v, key);
      },
      [field](const RunConfig& c) { return write(field(c)); });
}

template <class Field, class T>
Key integer_key(std::string section, std::string name, Resume resume, Field field, T least,
                T most = std::numeric_limits<T>::max()) {
  return active(
      std::move(section), std::move(name), resume,
      [field, least, most](const Value& v, const std::string& key, Draft& draft) {
        field(draft.config) = read_integer<T>(v, key, least, most);
      },
      [field](const RunConfig& c) { return write_integer(field(c)); });
}

/// An integer that is written only when it is given (> 0), since another key can say the same.
template <class Field, class T>
Key optional_integer_key(std::string section, std::string name, Resume resume, Field field, T least, T most) {
  Key key = integer_key(std::move(section), std::move(name), resume, field, least, most);
  key.write = [field](const RunConfig& c) { return field(c) > 0 ? write_integer(field(c)) : std::string{}; };
  return key;
}

template <class Field>
Key number_key(std::string section, std::string name, Resume resume, Field field, NumberRange range) {
  return active(
      std::move(section), std::move(name), resume,
      [field, range](const Value& v, const std::string& key, Draft& draft) {
        field(draft.config) = read_number(v, key, range);
      },
      [field](const RunConfig& c) { return write(field(c)); });
}

template <class Field>
Key text_key(std::string section, std::string name, Resume resume, Field field) {
  return active(
      std::move(section), std::move(name), resume,
      [field](const Value& v, const std::string& key, Draft& draft) {
        field(draft.config) = read_text(v, key);
      },
      [field](const RunConfig& c) { return write(field(c)); });
}

/// `choices` must live as long as the program.
template <class Field, class T, std::size_t n>
Key choice_key(std::string section, std::string name, Resume resume, Field field,
               const Choice<T> (&choices)[n]) {
  return active(
      std::move(section), std::move(name), resume,
      [field, &choices](const Value& v, const std::string& key, Draft& draft) {
        field(draft.config) = read_choice(v, key, choices);
      },
      [field, &choices](const RunConfig& c) { return write_choice(field(c), choices); });
}

inline Key without_effect(KeyKind kind, std::string section, std::string name, std::string sentence,
                          Key::SpeaksUp speaks_up) {
  Key key;
  key.section = std::move(section);
  key.name = std::move(name);
  key.kind = kind;
  key.sentence = std::move(sentence);
  key.speaks_up = std::move(speaks_up);
  return key;
}

// Checks of keys that change nothing: what the value must be, and when the sentence is worth a line.
inline bool any_value(const Value&, const std::string&) { return true; }
inline bool any_bool(const Value& v, const std::string& key) { return read_bool(v, key), true; }
inline bool only_true(const Value& v, const std::string& key) { return read_bool(v, key); }
inline bool any_number(const Value& v, const std::string& key) {
  return read_number(v, key, not_negative), true;
}

inline Key inert_key(std::string section, std::string name, std::string sentence,
                     Key::SpeaksUp speaks_up = any_value) {
  return without_effect(KeyKind::inert, std::move(section), std::move(name), std::move(sentence),
                        std::move(speaks_up));
}

inline Key refused_key(std::string section, std::string name, std::string why) {
  return without_effect(KeyKind::refused, std::move(section), std::move(name), std::move(why), any_value);
}

}  // namespace fcmnist::config
