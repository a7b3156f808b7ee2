#include "config/learning_rate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "config/nearest.hpp"
#include "config/readers.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

using optim::AnnealStrategy;
using optim::CyclicMode;
using optim::ScheduleKind;
using optim::SchedulePiece;

constexpr Choice<CyclicMode> cyclic_modes[] = {
    {"triangular", CyclicMode::triangular},
    {"triangular2", CyclicMode::triangular2},
    {"exp_range", CyclicMode::exp_range},
};
constexpr Choice<AnnealStrategy> anneal_strategies[] = {
    {"cos", AnnealStrategy::cos},
    {"linear", AnnealStrategy::linear},
};

/// One key of a kind of schedule.
struct FieldRow {
  const char* word;
  std::function<void(const Value&, const std::string& key, SchedulePiece&)> read;
  std::function<std::string(const SchedulePiece&)> write;  ///< null: another name of a key that is written
  bool required = false;
};

constexpr NumberRange above_zero{0, not_negative.limit, false, true, "a number above 0"};
constexpr NumberRange up_to_one{0, 1, false, true, "a number above 0, at most 1"};
constexpr long most = 1'000'000'000'000;

template <class Member>
FieldRow number(const char* word, Member member, const NumberRange& range = not_negative) {
  return {word,
          [=](const Value& v, const std::string& key, SchedulePiece& piece) {
            piece.*member = read_number(v, key, range);
          },
          [=](const SchedulePiece& piece) { return write(piece.*member); }};
}

FieldRow count(const char* word, long SchedulePiece::*member) {
  return {word,
          [=](const Value& v, const std::string& key, SchedulePiece& piece) {
            piece.*member = read_integer(v, key, 1L, most);
          },
          [=](const SchedulePiece& piece) {
            return piece.*member > 0 ? std::to_string(piece.*member) : std::string();
          }};
}

FieldRow boolean(const char* word, bool SchedulePiece::*member) {
  return {word,
          [=](const Value& v, const std::string& key, SchedulePiece& piece) {
            piece.*member = read_bool(v, key);
          },
          [=](const SchedulePiece& piece) { return write(piece.*member); }};
}

template <class T, std::size_t n>
FieldRow choice(const char* word, T SchedulePiece::*member, const Choice<T> (&choices)[n]) {
  return {word,
          [=, &choices](const Value& v, const std::string& key, SchedulePiece& piece) {
            piece.*member = read_choice(v, key, choices);
          },
          [=, &choices](const SchedulePiece& piece) { return write_choice(piece.*member, choices); }};
}

template <class T, class ReadItem>
FieldRow list(const char* word, std::vector<T> SchedulePiece::*member, ReadItem read_item) {
  return {word,
          [=](const Value& v, const std::string& key, SchedulePiece& piece) {
            if (v.kind != Value::Kind::list || v.items.empty()) unexpected(v, key, "a list of numbers");
            (piece.*member).clear();
            for (const Value& item : v.items) (piece.*member).push_back(read_item(item, key));
          },
          [=](const SchedulePiece& piece) {
            std::vector<std::string> texts;
            for (const T number : piece.*member) {
              if constexpr (std::is_same_v<T, double>) {
                texts.push_back(write(number));
              } else {
                texts.push_back(std::to_string(number));
              }
            }
            return fmt::format("[{}]", fmt::join(texts, ", "));
          }};
}

FieldRow required(FieldRow row) {
  row.required = true;
  return row;
}
/// Another name of the key before it.
FieldRow or_name(const char* word, const FieldRow& row) { return {word, row.read, nullptr}; }

/// A kind of schedule: its names, of which the first is written, and its keys, each followed by its other names.
struct KindRow {
  ScheduleKind kind;
  std::vector<std::string> names;  ///< without "LR"
  std::vector<FieldRow> fields;
};

const std::vector<KindRow>& kinds() {
  using P = SchedulePiece;
  const auto rate = [](const Value& v, const std::string& key) { return read_number(v, key, not_negative); };
  const auto step = [](const Value& v, const std::string& key) { return read_integer(v, key, 1L, most); };
  static const FieldRow initial = required(number("initial_learning_rate", &P::initial_learning_rate)),
                        learning_rate = or_name("learning_rate", initial), val = or_name("val", initial),
                        base_lr = or_name("base_lr", initial),
                        end = number("end_learning_rate", &P::end_learning_rate),
                        eta_min = or_name("eta_min", end),
                        power = number("power", &P::power,
                                       {0, 100, false, true, "a number above 0, at most 100"}),
                        gamma = required(number("gamma", &P::factor)),
                        decay_rate = required(number("decay_rate", &P::factor)),
                        staircase = boolean("staircase", &P::staircase),
                        milestones = required(list("milestones", &P::milestones, step)),
                        max_lr = required(number("max_lr", &P::max_learning_rate));
  /// What a period is called, as the length of the piece is where it has one.
  const auto period = [](const char* word) { return required(count(word, &P::period)); };
  static const std::vector<KindRow> rows = {
      {ScheduleKind::constant, {"Constant"}, {initial, learning_rate, val}},
      {ScheduleKind::linear, {"Linear"}, {initial, learning_rate, val, end}},
      {ScheduleKind::polynomial,
       {"Polynomial", "PolynomialDecay"},
       {initial, learning_rate, val, end, power}},
      {ScheduleKind::cosine, {"CosineDecay", "Cosine"}, {initial, learning_rate, val, end}},
      {ScheduleKind::exponential,
       {"Exponential"},
       {initial, learning_rate, period("decay_steps"), or_name("total_iters", period("decay_steps")),
        decay_rate, staircase}},
      {ScheduleKind::inverse_exponential_time_decay,
       {"InverseExponentialTimeDecay"},
       {initial, learning_rate, period("decay_steps"), or_name("total_iters", period("decay_steps")),
        decay_rate, number("step_exponent", &P::power, above_zero), staircase}},
      {ScheduleKind::inverse_square_root_decay,
       {"InverseSquareRootDecay"},
       {initial, learning_rate, number("scale", &P::factor), count("warmup_steps", &P::warmup_steps)}},
      {ScheduleKind::piecewise_constant,
       {"PiecewiseConstant"},
       {required(list("learning_rates", &P::learning_rates, rate)), milestones}},
      {ScheduleKind::step, {"Step"}, {initial, learning_rate, period("step_size"), gamma}},
      {ScheduleKind::multi_step, {"MultiStep"}, {initial, learning_rate, milestones, gamma}},
      {ScheduleKind::multiplicative,
       {"Multiplicative"},
       {initial, learning_rate, required(number("coefficient", &P::factor))}},
      {ScheduleKind::cosine_annealing,
       {"CosineAnnealing"},
       {initial, learning_rate, period("T_max"), end, eta_min}},
      {ScheduleKind::cosine_annealing_warm_restarts,
       {"CosineAnnealingWarmRestarts"},
       {initial, learning_rate, period("T_0"), count("T_mult", &P::period_factor), end, eta_min}},
      {ScheduleKind::cyclic,
       {"Cyclic"},
       {initial, base_lr, max_lr, period("step_size_up"), count("step_size_down", &P::steps_down),
        choice("mode", &P::mode, cyclic_modes), number("gamma", &P::factor)}},
      {ScheduleKind::one_cycle,
       {"OneCycle"},
       {initial, learning_rate, max_lr, number("pct_start", &P::pct_start, up_to_one),
        number("final_div_factor", &P::final_div_factor, above_zero), boolean("three_phase", &P::three_phase),
        choice("anneal_strategy", &P::anneal_strategy, anneal_strategies)}},
  };
  return rows;
}

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

const KindRow& row_of(ScheduleKind kind) { return *std::ranges::find(kinds(), kind, &KindRow::kind); }

std::string without_lr(std::string word) {
  if (word.size() > 2 && word.ends_with("lr")) word.resize(word.size() - 2);
  return word;
}

const KindRow& read_kind(const Value& value, const std::string& key) {
  const std::string word = without_lr(lower_case(value.text));
  std::vector<std::string> names, first_names;
  for (const KindRow& row : kinds()) {
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

const FieldRow* field_of(const KindRow& kind, std::string_view word) {
  const auto found = std::ranges::find(kind.fields, word, &FieldRow::word);
  return found == kind.fields.end() ? nullptr : &*found;
}

[[noreturn]] void refuse_key(const Value::Entry& entry, const std::string& key, const KindRow& kind) {
  std::vector<std::string> owners, words = {"steps"};
  for (const KindRow& other : kinds()) {
    if (field_of(other, entry.key) != nullptr) owners.push_back(other.names.front());
  }
  if (!owners.empty()) {
    throw UsageError(fmt::format("{}: {}: {} has a meaning for {} only", entry.where, key, entry.key,
                                 fmt::join(owners, ", ")),
                     "delete it, or choose that scheduler");
  }
  for (const FieldRow& field : kind.fields) words.emplace_back(field.word);
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
    for (const FieldRow& field : kind_->fields) {
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
    for (const FieldRow& field : kind_->fields) {
      if (field.write) first = field.word;
      if (field.word == word) return first;
    }
    return "steps";
  }
  [[nodiscard]] bool is_given(const FieldRow& field) const {
    return std::ranges::find(given_, field.word, [](const auto& pair) { return pair.first; }) != given_.end();
  }

  void read_entry(const Value::Entry& entry) {
    const FieldRow* field = field_of(*kind_, entry.key);
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
      piece_.steps = read_integer(entry.value, name(entry), 1L, most);
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
  const KindRow* kind_ = nullptr;
  std::vector<std::pair<std::string_view, std::string>>
      given_;  ///< first name of a key, and the name it was given by
  SchedulePiece piece_;
};

std::string write_piece(const SchedulePiece& piece) {
  const KindRow& row = row_of(piece.kind);
  std::string text = fmt::format("{{scheduler: {}", row.names.front());
  for (const FieldRow& field : row.fields) {
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
      // In the reference the period of these kinds is the length of the piece too.
      SchedulePiece& before = pieces.back();
      if (before.steps == 0) before.steps = before.period;
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
