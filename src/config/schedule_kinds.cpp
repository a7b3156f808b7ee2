#include "config/schedule_kinds.hpp"

#include <fmt/format.h>

#include <type_traits>

#include "config/readers.hpp"

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

constexpr NumberRange up_to_one{0, 1, false, true, "a number above 0, at most 1"};

template <class Member>
ScheduleField number(const char* word, Member member, const NumberRange& range = not_negative) {
  return {word,
          [=](const Value& v, const std::string& key, SchedulePiece& piece) {
            piece.*member = read_number(v, key, range);
          },
          [=](const SchedulePiece& piece) { return write(piece.*member); }};
}

ScheduleField count(const char* word, long SchedulePiece::*member) {
  return {word,
          [=](const Value& v, const std::string& key, SchedulePiece& piece) {
            piece.*member = read_integer(v, key, 1L, most_steps);
          },
          [=](const SchedulePiece& piece) {
            return piece.*member > 0 ? std::to_string(piece.*member) : std::string();
          }};
}

ScheduleField boolean(const char* word, bool SchedulePiece::*member) {
  return {word,
          [=](const Value& v, const std::string& key, SchedulePiece& piece) {
            piece.*member = read_bool(v, key);
          },
          [=](const SchedulePiece& piece) { return write(piece.*member); }};
}

template <class T, std::size_t n>
ScheduleField choice(const char* word, T SchedulePiece::*member, const Choice<T> (&choices)[n]) {
  return {word,
          [=, &choices](const Value& v, const std::string& key, SchedulePiece& piece) {
            piece.*member = read_choice(v, key, choices);
          },
          [=, &choices](const SchedulePiece& piece) { return write_choice(piece.*member, choices); }};
}

template <class T, class ReadItem>
ScheduleField list(const char* word, std::vector<T> SchedulePiece::*member, ReadItem read_item) {
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

ScheduleField required(ScheduleField row) {
  row.required = true;
  return row;
}
/// Another name of the key before it.
ScheduleField or_name(const char* word, const ScheduleField& row) { return {word, row.read, nullptr}; }

}  // namespace

const std::vector<ScheduleKindRow>& schedule_kinds() {
  using P = SchedulePiece;
  const auto rate = [](const Value& v, const std::string& key) { return read_number(v, key, not_negative); };
  const auto step = [](const Value& v, const std::string& key) {
    return read_integer(v, key, 1L, most_steps);
  };
  static const ScheduleField initial = required(number("initial_learning_rate", &P::initial_learning_rate)),
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
  // Each kind has its own name for its period.
  const auto period = [](const char* word) { return required(count(word, &P::period)); };
  static const std::vector<ScheduleKindRow> rows = {
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

}  // namespace fcmnist::config
