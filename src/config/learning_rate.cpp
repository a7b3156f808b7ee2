#include "config/learning_rate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/nearest.hpp"
#include "config/readers.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

using optim::ScheduleKind;
using optim::SchedulePiece;

// The first word of a kind is the one we write.
constexpr Choice<ScheduleKind> kinds[] = {
    {"Constant", ScheduleKind::constant},          {"Linear", ScheduleKind::linear},
    {"Polynomial", ScheduleKind::polynomial},      {"CosineDecay", ScheduleKind::cosine},
    {"ConstantLR", ScheduleKind::constant},        {"LinearLR", ScheduleKind::linear},
    {"PolynomialLR", ScheduleKind::polynomial},    {"CosineDecayLR", ScheduleKind::cosine},
    {"PolynomialDecay", ScheduleKind::polynomial}, {"Cosine", ScheduleKind::cosine},
};

// Schedules of the reference that this release does not have.
constexpr std::array later_kinds = {"exponential",    "piecewiseconstant", "inverseexponentialtimedecay",
                                    "step",           "multistep",         "onecycle",
                                    "cyclic",         "cosineannealing",   "cosineannealingwarmrestarts",
                                    "chained",        "sequential",        "lambda",
                                    "multiplicative", "scalepersample",    "scaleperparam"};

std::string without_lr(std::string word) {
  if (word.size() > 2 && word.ends_with("lr")) word.resize(word.size() - 2);
  return word;
}

ScheduleKind read_kind(const Value& value, const std::string& key) {
  const std::string word = lower_case(value.text);
  if (value.kind == Value::Kind::scalar) {
    for (const auto& kind : kinds) {
      if (lower_case(kind.word) == word) return kind.meaning;
    }
    if (std::find(later_kinds.begin(), later_kinds.end(), without_lr(word)) != later_kinds.end()) {
      throw UsageError(
          fmt::format("{}: {}: the schedule {} comes in a later release", value.where, key, value.text),
          "use Constant, Linear, Polynomial or CosineDecay; a list of schedules runs one after the other");
    }
  }
  std::vector<std::string> words;
  for (const auto& kind : kinds) words.emplace_back(kind.word);
  const std::string meant = nearest(value.text, words);
  unexpected(value, key, "Constant, Linear, Polynomial or CosineDecay",
             meant.empty() ? "" : fmt::format("did you mean {}?", meant));
}

enum class Field { scheduler, initial, end, power, steps, main_scheduler, cycle, no_reset };
constexpr std::size_t field_count = 8;

constexpr Choice<Field> fields[] = {
    {"scheduler", Field::scheduler},   {"initial_learning_rate", Field::initial},
    {"end_learning_rate", Field::end}, {"power", Field::power},
    {"steps", Field::steps},           {"learning_rate", Field::initial},
    {"val", Field::initial},           {"total_iters", Field::steps},
    {"decay_steps", Field::steps},     {"main_scheduler", Field::main_scheduler},
    {"cycle", Field::cycle},           {"disable_lr_steps_reset", Field::no_reset},
};

Field field_of(const Value::Entry& entry, const std::string& key) {
  std::vector<std::string> words;
  for (const auto& field : fields) {
    if (field.word == entry.key) return field.meaning;
    words.emplace_back(field.word);
  }
  const std::string meant = nearest(entry.key, words);
  throw UsageError(fmt::format("{}: {}: unknown key '{}' in a schedule", entry.where, key, entry.key),
                   meant.empty() ? fmt::format("a schedule has {}", fmt::join(words, ", "))
                                 : fmt::format("did you mean {}?", meant));
}

/// The entries of a schedule, by field. Two names of one field are an error.
struct Entries {
  std::array<const Value::Entry*, field_count> of{};

  Entries(const Value& value, const std::string& key) {
    for (const Value::Entry& entry : value.entries) {
      const Value::Entry*& slot = of[static_cast<std::size_t>(field_of(entry, key))];
      if (slot != nullptr) {
        throw UsageError(
            fmt::format("{}: {}: {} and {} mean the same", entry.where, key, slot->key, entry.key),
            "keep one of them");
      }
      slot = &entry;
    }
    for (const Value::Entry*& slot : of) {
      if (slot != nullptr && is_null(slot->value)) slot = nullptr;  // as if it were not given
    }
  }
  [[nodiscard]] const Value::Entry* operator[](Field field) const {
    return of[static_cast<std::size_t>(field)];
  }
};

void refuse_foreign_field(const Value::Entry* entry, const std::string& key, std::string_view owner) {
  if (entry == nullptr) return;
  throw UsageError(fmt::format("{}: {}: {} has a meaning for {} only", entry->where, key, entry->key, owner),
                   "delete it, or choose that scheduler");
}

/// What the reference can do and this program cannot is accepted as far as it is not asked for.
void refuse_other_sequences(const Entries& entries, const std::string& key) {
  if (const Value::Entry* main = entries[Field::main_scheduler]) {
    const std::string word = without_lr(lower_case(read_text(main->value, key)));
    if (word != "sequential") {
      unexpected(main->value, key + ".main_scheduler", "sequential", "schedules run one after the other");
    }
  }
  for (const Field field : {Field::cycle, Field::no_reset}) {
    const Value::Entry* entry = entries[field];
    if (entry == nullptr || !read_bool(entry->value, key + "." + entry->key)) continue;
    unexpected(entry->value, key + "." + entry->key, "False",
               "a schedule runs once, and counts its own steps");
  }
}

SchedulePiece read_piece(const Value& value, const std::string& key) {
  if (value.kind != Value::Kind::mapping) unexpected(value, key, "a schedule: {scheduler: ..., ...}");
  const Entries entries(value, key);
  const auto name = [&](Field field) { return fmt::format("{}.{}", key, entries[field]->key); };
  for (const Field required : {Field::scheduler, Field::initial}) {
    if (entries[required] != nullptr) continue;
    throw UsageError(
        fmt::format("{}: {}: a schedule without {}", value.where, key, write_choice(required, fields)));
  }
  refuse_other_sequences(entries, key);
  SchedulePiece piece;
  piece.kind = read_kind(entries[Field::scheduler]->value, name(Field::scheduler));
  piece.initial_learning_rate =
      read_number(entries[Field::initial]->value, name(Field::initial), not_negative);
  if (piece.kind == ScheduleKind::constant) {
    refuse_foreign_field(entries[Field::end], key, "Linear, Polynomial and CosineDecay");
  } else if (entries[Field::end] != nullptr) {
    piece.end_learning_rate = read_number(entries[Field::end]->value, name(Field::end), not_negative);
  }
  if (piece.kind != ScheduleKind::polynomial) {
    refuse_foreign_field(entries[Field::power], key, "Polynomial");
  } else if (entries[Field::power] != nullptr) {
    constexpr NumberRange powers{0, 100, false, true, "a number above 0, at most 100"};
    piece.power = read_number(entries[Field::power]->value, name(Field::power), powers);
  }
  if (entries[Field::steps] != nullptr) {
    piece.steps = read_integer(entries[Field::steps]->value, name(Field::steps), 1L, 1'000'000'000'000L);
  }
  return piece;
}

std::string write_piece(const SchedulePiece& piece) {
  std::string text = fmt::format("{{scheduler: {}, initial_learning_rate: {}",
                                 write_choice(piece.kind, kinds), write(piece.initial_learning_rate));
  if (piece.kind != ScheduleKind::constant) text += ", end_learning_rate: " + write(piece.end_learning_rate);
  if (piece.kind == ScheduleKind::polynomial) text += ", power: " + write(piece.power);
  if (piece.steps > 0) text += fmt::format(", steps: {}", piece.steps);
  return text + "}";
}

}  // namespace

std::vector<SchedulePiece> read_learning_rate(const Value& value, const std::string& key) {
  constexpr std::size_t most_pieces = 100;
  if (value.kind == Value::Kind::mapping) return {read_piece(value, key)};
  if (value.kind != Value::Kind::list) {
    constexpr NumberRange rates{0, not_negative.limit, true, true, "a number, at least 0, or a schedule"};
    return {{ScheduleKind::constant, read_number(value, key, rates), 0.0, 1.0, 0}};
  }
  if (value.items.empty() || value.items.size() > most_pieces) {
    throw UsageError(fmt::format("{}: {}: expected a list of 1 to {} schedules, found {}", value.where, key,
                                 most_pieces, value.items.size()));
  }
  std::vector<SchedulePiece> pieces;
  for (const Value& item : value.items) {
    if (!pieces.empty() && pieces.back().steps == 0) {
      throw UsageError(fmt::format("{}: {}: schedule {} of {} has no steps, so this one would never begin",
                                   item.where, key, pieces.size(), value.items.size()),
                       "give every schedule but the last its steps");
    }
    pieces.push_back(read_piece(item, key));
  }
  return pieces;
}

std::string write_learning_rate(const std::vector<SchedulePiece>& pieces) {
  const SchedulePiece& first = pieces.front();
  if (pieces.size() > 1) {
    std::vector<std::string> texts;
    texts.reserve(pieces.size());
    for (const SchedulePiece& piece : pieces) texts.push_back(write_piece(piece));
    return fmt::format("[{}]", fmt::join(texts, ", "));
  }
  const bool is_number = first.kind == ScheduleKind::constant && first.steps == 0;
  return is_number ? write(first.initial_learning_rate) : write_piece(first);
}

}  // namespace fcmnist::config
