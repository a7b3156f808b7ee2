#include "config/learning_rate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "config/nearest.hpp"
#include "config/readers.hpp"
#include "config/schedule_kinds.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

using optim::ScheduleKind;
using optim::SchedulePiece;

// Schedules of the reference that are programs, or products of others.
constexpr std::string_view other_kinds[] = {"lambda", "chained", "scalepersample", "scaleperparam"};

// Keys of every schedule. The length of a piece has these names, where they do not name a period.
constexpr std::string_view lengths[] = {"steps", "total_iters", "decay_steps", "total_steps"};
constexpr std::string_view only_false[] = {"cycle", "disable_lr_steps_reset"};
constexpr std::string_view scheduler_key = "scheduler", main_scheduler = "main_scheduler",
                           scale_mode = "scale_mode";

template <class Words>
bool is_one_of(std::string_view word, const Words& words) {
  return std::ranges::find(words, word) != std::ranges::end(words);
}

const ScheduleKindRow& row_of(ScheduleKind kind) {
  return *std::ranges::find(schedule_kinds(), kind, &ScheduleKindRow::kind);
}

std::string without_lr(std::string word) {
  if (word.size() > 2 && word.ends_with("lr")) word.resize(word.size() - 2);
  return word;
}

const ScheduleKindRow& read_kind(const Value& value, const std::string& key) {
  const std::string word = without_lr(lower_case(value.text));
  std::vector<std::string> names, first_names;
  for (const ScheduleKindRow& row : schedule_kinds()) {
    first_names.push_back(row.names.front());
    for (const std::string& name : row.names) {
      if (value.kind == Value::Kind::scalar && lower_case(name) == word) return row;
      names.push_back(name);
    }
  }
  const std::string all = fmt::format("{}", fmt::join(first_names, ", "));
  if (is_one_of(word, other_kinds)) {
    throw UsageError(fmt::format("{}: {}: there is no schedule {} here", value.where, key, value.text),
                     "there are " + all + "; a list of schedules runs one after the other");
  }
  const std::string meant = nearest(value.text, names);
  unexpected(value, key, "one of " + all, meant.empty() ? "" : fmt::format("did you mean {}?", meant));
}

const ScheduleField* field_of(const ScheduleKindRow& kind, std::string_view word) {
  const auto found = std::ranges::find(kind.fields, word, &ScheduleField::word);
  return found == kind.fields.end() ? nullptr : &*found;
}

[[noreturn]] void refuse_key(const Value::Entry& entry, const std::string& key, const ScheduleKindRow& kind) {
  std::vector<std::string> owners, words = {"steps"};
  for (const ScheduleKindRow& other : schedule_kinds()) {
    if (field_of(other, entry.key) != nullptr) owners.push_back(other.names.front());
  }
  if (!owners.empty()) {
    throw UsageError(fmt::format("{}: {}: {} has a meaning for {} only", entry.where, key, entry.key,
                                 fmt::join(owners, ", ")),
                     "delete it, or choose that scheduler");
  }
  for (const ScheduleField& field : kind.fields) words.emplace_back(field.word);
  const std::string meant = nearest(entry.key, words);
  throw UsageError(fmt::format("{}: {}: unknown key '{}' in a schedule", entry.where, key, entry.key),
                   meant.empty() ? fmt::format("{} has {}", kind.names.front(), fmt::join(words, ", "))
                                 : fmt::format("did you mean {}?", meant));
}

/// What the reference can do and this program cannot is accepted as far as it is not asked for.
void refuse_other_sequences(const Value::Entry& entry, const std::string& key) {
  if (entry.key == main_scheduler) {
    if (without_lr(lower_case(read_text(entry.value, key))) == "sequential") return;
    unexpected(entry.value, key, "sequential", "schedules run one after the other");
  }
  if (!read_bool(entry.value, key)) return;
  unexpected(entry.value, key, "False", "a schedule runs once, and counts its own steps");
}

/// Reads one schedule. A key has one name: two names of it are an error.
class PieceReader {
 public:
  PieceReader(const Value& value, const std::string& key) : value_(value), key_(key) {}

  SchedulePiece read() {
    if (value_.kind != Value::Kind::mapping) unexpected(value_, key_, "a schedule: {scheduler: ..., ...}");
    const Value::Entry* scheduler = find(scheduler_key);
    if (scheduler == nullptr) throw missing(scheduler_key);
    kind_ = &read_kind(scheduler->value, name(*scheduler));
    piece_.kind = kind_->kind;
    for (const Value::Entry& entry : value_.entries) {
      if (entry.key != scheduler_key && !is_null(entry.value)) read_entry(entry);
    }
    for (const ScheduleField& field : kind_->fields) {
      if (field.required && !is_given(field)) throw missing(field.word);
    }
    check();
    return piece_;
  }

 private:
  [[nodiscard]] const Value::Entry* find(std::string_view word) const {
    const auto found = std::ranges::find(value_.entries, word, &Value::Entry::key);
    return found == value_.entries.end() || is_null(found->value) ? nullptr : &*found;
  }
  [[nodiscard]] std::string name(const Value::Entry& entry) const { return key_ + "." + entry.key; }
  [[nodiscard]] UsageError missing(std::string_view word) const {
    return UsageError(fmt::format("{}: {}: a schedule without {}", value_.where, key_, word));
  }
  /// The first of the names of a key.
  [[nodiscard]] std::string_view first_name(std::string_view word) const {
    std::string_view first = "steps";
    for (const ScheduleField& field : kind_->fields) {
      if (field.write) first = field.word;
      if (field.word == word) return first;
    }
    return "steps";
  }
  [[nodiscard]] bool is_given(const ScheduleField& field) const {
    return std::ranges::find(given_, field.word, [](const auto& pair) { return pair.first; }) != given_.end();
  }

  void read_entry(const Value::Entry& entry) {
    const ScheduleField* field = field_of(*kind_, entry.key);
    if (field == nullptr && (entry.key == main_scheduler || is_one_of(entry.key, only_false))) {
      return refuse_other_sequences(entry, name(entry));
    }
    if (field == nullptr && entry.key == scale_mode && kind_->kind == ScheduleKind::cyclic)
      return;  // the mode says it
    if (field == nullptr && !is_one_of(entry.key, lengths)) refuse_key(entry, key_, *kind_);
    const std::string_view first = first_name(entry.key);
    for (const auto& [other_first, other] : given_) {
      if (other_first != first) continue;
      throw UsageError(fmt::format("{}: {}: {} and {} mean the same", entry.where, key_, other, entry.key),
                       "keep one of them");
    }
    given_.emplace_back(first, entry.key);
    if (field != nullptr) {
      field->read(entry.value, name(entry), piece_);
    } else {
      piece_.steps = read_integer(entry.value, name(entry), 1L, most_steps);
    }
  }

  /// What several keys say together.
  void check() const {
    const auto& milestones = piece_.milestones;
    if (!std::ranges::is_sorted(milestones, std::less_equal())) {
      throw UsageError(fmt::format("{}: {}.milestones: expected steps in rising order, found {}",
                                   value_.where, key_, fmt::join(milestones, ", ")));
    }
    if (piece_.kind == ScheduleKind::piecewise_constant &&
        piece_.learning_rates.size() != milestones.size() + 1) {
      throw UsageError(
          fmt::format("{}: {}: {} learning_rates and {} milestones: expected one rate more than milestones",
                      value_.where, key_, piece_.learning_rates.size(), milestones.size()));
    }
  }

  const Value& value_;
  std::string key_;
  const ScheduleKindRow* kind_ = nullptr;
  std::vector<std::pair<std::string_view, std::string>>
      given_;  ///< first name of a key, and the name it was given by
  SchedulePiece piece_;
};

std::string write_piece(const SchedulePiece& piece) {
  const ScheduleKindRow& row = row_of(piece.kind);
  std::string text = fmt::format("{{scheduler: {}", row.names.front());
  for (const ScheduleField& field : row.fields) {
    if (!field.write) continue;
    const std::string value = field.write(piece);
    if (!value.empty()) text += fmt::format(", {}: {}", field.word, value);
  }
  if (piece.steps > 0) text += fmt::format(", steps: {}", piece.steps);
  return text + "}";
}

}  // namespace

std::vector<SchedulePiece> read_learning_rate(const Value& value, const std::string& key) {
  constexpr std::size_t most_pieces = 100;
  if (value.kind == Value::Kind::mapping) return {PieceReader(value, key).read()};
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
    SchedulePiece piece = PieceReader(item, key).read();
    if (!pieces.empty()) {
      SchedulePiece& before = pieces.back();
      const bool lasts_its_period = before.kind == ScheduleKind::exponential ||
                                    before.kind == ScheduleKind::inverse_exponential_time_decay;
      if (before.steps == 0 && lasts_its_period) before.steps = before.period;  // as in the reference
      if (before.steps == 0) {
        throw UsageError(fmt::format("{}: {}: schedule {} of {} has no steps, so this one would never begin",
                                     item.where, key, pieces.size(), value.items.size()),
                         "give every schedule but the last its steps");
      }
    }
    pieces.push_back(std::move(piece));
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
