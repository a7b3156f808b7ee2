#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/paths.hpp"
#include "config/run_config.hpp"
#include "config/value.hpp"

namespace fcmnist::config {

// From values to C++ types, and back. The readers throw UsageError "<place>: <key>: expected ..., found ...".

/// The numbers that a key takes, and what messages call them.
struct NumberRange {
  double least = 0;
  double limit = std::numeric_limits<double>::max();
  bool least_included = true;
  bool limit_included = true;
  std::string_view text = "a number, at least 0";
};
inline constexpr NumberRange not_negative{};
inline constexpr NumberRange above_zero{0, not_negative.limit, false, true, "a number above 0"};
inline constexpr NumberRange fraction{0, 1, true, false, "a number from 0 up to but not including 1"};

/// More steps than any training has. Products with batch sizes still fit in 64 bits.
inline constexpr long most_steps = 1'000'000'000'000;

/// Whether a value is null, or the plain word for it.
bool is_null(const Value& value);

/// One of the words that a key takes. Several words may mean the same; the first of them is written.
template <class T>
struct Choice {
  std::string_view word;
  T meaning;
};

inline constexpr Choice<Mode> modes[] = {
    {"train", Mode::train},       {"eval", Mode::eval},       {"train_and_eval", Mode::train_and_eval},
    {"eval_all", Mode::eval_all}, {"predict", Mode::predict}, {"prepare_data", Mode::prepare_data},
    {"sweep", Mode::sweep},
};
inline constexpr Choice<comm::WireType> wire_types[] = {
    {"float32", comm::WireType::float32},
    {"bfloat16", comm::WireType::bfloat16},
};
inline constexpr Choice<kernels::GemmBackend> gemm_backends[] = {
    {"openblas", kernels::GemmBackend::openblas},
    {"onednn", kernels::GemmBackend::onednn},
};
inline constexpr Choice<kernels::InputProducts> input_products[] = {
    {"auto", kernels::InputProducts::automatic},
    {"dense", kernels::InputProducts::dense},
    {"sparse", kernels::InputProducts::sparse},
};

[[noreturn]] void unexpected(const Value& value, const std::string& key, std::string_view expected,
                             std::string_view hint = {});

bool read_bool(const Value& value, const std::string& key);
/// A whole number in [least, most], where T is int, long or std::uint64_t. "1.5", "1e3" and "0x10" are none.
template <class T>
T read_integer(const Value& value, const std::string& key, T least, T most = std::numeric_limits<T>::max());
double read_number(const Value& value, const std::string& key, const NumberRange& range);
/// One line of text that is not empty.
std::string read_text(const Value& value, const std::string& key);
/// List of whole numbers; a single number is a list of one.
std::vector<int> read_integers(const Value& value, const std::string& key, int least, int most);
std::vector<std::string> read_texts(const Value& value, const std::string& key);
/// A text in which "~/" and variables are expanded; without an environment, as this program wrote it.
std::string read_path(const Value& value, const std::string& key,
                      const std::optional<Environment>& environment);
/// A time as Slurm writes it, "auto" or "none".
MaxTime read_max_time(const Value& value, const std::string& key);

/// The index of the word that the value names, in upper or lower case.
std::size_t read_word(const Value& value, const std::string& key, std::span<const std::string> words);

template <class T, std::size_t n>
T read_choice(const Value& value, const std::string& key, const Choice<T> (&choices)[n]) {
  std::vector<std::string> words;
  for (const Choice<T>& choice : choices) words.emplace_back(choice.word);
  return choices[read_word(value, key, words)].meaning;
}

std::string write(bool value);                ///< "True" or "False", as the reference's files
std::string write(double value);              ///< the shortest text that reads back exactly, with a point
std::string write(const std::string& value);  ///< in double quotes
std::string write(const std::vector<int>& values);  ///< "[500, 300]"
std::string write(const std::vector<std::string>& values);
std::string write(const MaxTime& value);
template <class T>
std::string write_integer(T value) {
  return std::to_string(value);
}

template <class T, std::size_t n>
std::string write_choice(T value, const Choice<T> (&choices)[n]) {
  for (const Choice<T>& choice : choices) {
    if (choice.meaning == value) return std::string(choice.word);
  }
  return {};
}

std::string lower_case(std::string_view text);

}  // namespace fcmnist::config
