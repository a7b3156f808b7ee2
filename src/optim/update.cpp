#include "optim/update.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.hpp"
#include "core/ordered_sum.hpp"
#include "optim/rules.hpp"
#include "optim/two_phase_rules.hpp"

namespace fcmnist::optim {

double clip_scale(double norm, double max_norm) {
  if (max_norm <= 0.0) return 1.0;
  const double scale = max_norm / (norm + 1e-6);
  return scale < 1.0 ? scale : 1.0;
}

namespace {

bool leaves_out_biases(OptimizerType type) {
  using enum OptimizerType;
  return type == adam || type == adamw || type == lars || type == lamb;
}

bool is_left_out(const OptimizerOptions& options, std::string_view array) {
  static const std::vector<std::string> none, biases = {"bias"};
  const auto& usual = leaves_out_biases(options.type) ? biases : none;
  const auto& left_out = options.exclude_from_weight_decay ? *options.exclude_from_weight_decay : usual;
  const auto is_meant = [&](const std::string& word) { return array.find(word) != std::string_view::npos; };
  return std::ranges::any_of(left_out, is_meant);
}

}  // namespace

double weight_decay_of(const OptimizerOptions& options, std::string_view array) {
  return is_left_out(options, array) ? 0.0 : options.weight_decay_rate;
}

bool keeps_average(const OptimizerOptions& options) { return options.average_decay > 0.0; }

namespace {

/// What every rule does to a gradient before it uses it.
struct Scaling {
  Scaling(const OptimizerOptions& options, const UpdateStep& step)
      : scale(static_cast<float>(step.gradient_scale)),
        limit(options.max_gradient_value > 0.0 ? static_cast<float>(options.max_gradient_value)
                                               : std::numeric_limits<float>::infinity()) {}
  [[nodiscard]] float of(float gradient) const {
    float g = gradient * scale;
    g = g > limit ? limit : g;
    return g < -limit ? -limit : g;
  }
  float scale, limit;
};

/// One loop for all variants of a rule: it waits for memory, so unused terms are free. gradient(i) is a
/// template argument, so that the sum of one or two sources stays in registers.
template <class Rule, class Gradient, std::size_t... k>
float update_chunk(const Rule& rule, const Scaling& scaling, std::size_t count, Gradient gradient,
                   float* weights, const std::array<float*, sizeof...(k)>& state,
                   std::index_sequence<k...> /*arrays*/) {
  float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
  for (std::size_t i = 0; i < count; ++i) {
    const float sum = gradient(i);
    squares += sum * sum;
    rule(scaling.of(sum), weights[i], state[k][i]...);
  }
  return squares;
}

/// Numbers: few enough to add their squares in float, and for the first-level cache.
constexpr std::size_t chunk = 256;

/// All sources but the last, added up.
const float* sum_but_last(std::span<const float* const> sources, std::size_t begin, std::size_t count,
                          std::array<float, chunk>& sum) {
  if (sources.size() == 2) return sources[0] + begin;
  for (std::size_t i = 0; i < count; ++i) sum[i] = sources[0][begin + i] + sources[1][begin + i];
  for (const float* source : sources.subspan(2, sources.size() - 3)) {
    for (std::size_t i = 0; i < count; ++i) sum[i] += source[begin + i];
  }
  return sum.data();
}

/// Where a chunk begins in each state array.
template <std::size_t arrays>
std::array<float*, arrays> state_from(std::span<const std::span<float>> state, std::size_t begin) {
  std::array<float*, arrays> pointers;
  for (std::size_t k = 0; k < arrays; ++k) pointers[k] = state[k].data() + begin;
  return pointers;
}

void update_average(float share, std::size_t count, const float* weights, float* average) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) average[i] = (1.0F - share) * average[i] + share * weights[i];
}

template <class Rule>
double update_by(const OptimizerOptions& options, const UpdateStep& step,
                 std::span<const float* const> sources, std::span<float> weights,
                 std::span<const std::span<float>> state) {
  constexpr std::size_t arrays = Rule::state_arrays.size();
  constexpr auto indices = std::make_index_sequence<arrays>();
  const Rule rule(options, step);
  const Scaling scaling(options, step);
  const std::span<float> average = keeps_average(options) ? state.back() : std::span<float>();
  const auto share = static_cast<float>(average_share(options, step.number));
  double squares = 0.0;
  alignas(64) std::array<float, chunk> sum;
  for (std::size_t begin = 0; begin < weights.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, weights.size() - begin);
    float* const w = weights.data() + begin;
    const auto s = state_from<arrays>(state, begin);
    const float* const last = sources.back() + begin;
    if (sources.size() == 1) {
      squares += update_chunk(
          rule, scaling, count, [last](std::size_t i) { return last[i]; }, w, s, indices);
    } else {
      const float* const others = sum_but_last(sources, begin, count, sum);
      squares += update_chunk(
          rule, scaling, count, [others, last](std::size_t i) { return others[i] + last[i]; }, w, s, indices);
    }
  }
  if (step.row > 0) limit_rows(weights, step.row, options.max_weight_norm);
  if (!average.empty()) update_average(share, weights.size(), weights.data(), average.data());
  return squares;
}

template <class Rule, std::size_t... k>
void directions_of_chunk(const Rule& rule, const Scaling& scaling, std::size_t count, const float* gradient,
                         const float* weights, const std::array<float*, sizeof...(k)>& state,
                         std::array<float, chunk>& directions, std::index_sequence<k...> /*arrays*/) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) {
    directions[i] = rule.direction(scaling.of(gradient[i]), weights[i], state[k][i]...);
  }
}

template <class Rule>
BlockSquares prepare_by(const OptimizerOptions& options, const UpdateStep& step,
                        std::span<const float> gradient, std::span<const float> weights,
                        std::span<const std::span<float>> state) {
  constexpr std::size_t arrays = Rule::state_arrays.size();
  const Rule rule(options, step);
  const Scaling scaling(options, step);
  BlockSquares squares{.weights = sum_of_squares(weights), .direction = 0.0};
  alignas(64) std::array<float, chunk> directions;
  for (std::size_t begin = 0; begin < weights.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, weights.size() - begin);
    directions_of_chunk(rule, scaling, count, gradient.data() + begin, weights.data() + begin,
                        state_from<arrays>(state, begin), directions, std::make_index_sequence<arrays>());
    squares.direction += sum_of_squares(std::span(directions).first(count));
  }
  return squares;
}

struct RuleRow {
  OptimizerType type;
  std::span<const std::string_view> state_arrays;
  decltype(&update_weights) update;
  bool OptimizerOptions::*variant =
      nullptr;  ///< of two rows of one type, that with a variant holds where it is set
  // Of rules of two phases.
  decltype(&prepare_update) prepare = nullptr;
  double (*trust_ratio)(const OptimizerOptions& options, double weight_norm, double direction_norm) = nullptr;
};

template <class Rule>
constexpr RuleRow row(OptimizerType type, bool OptimizerOptions::*variant = nullptr) {
  return {type, Rule::state_arrays, &update_by<Rule>, variant};
}

template <class Rule>
constexpr RuleRow two_phase_row(OptimizerType type) {
  return {type, Rule::state_arrays, &update_by<Rule>, nullptr, &prepare_by<Rule>, &Rule::trust_ratio};
}

constexpr RuleRow rules[] = {
    row<Sgd>(OptimizerType::sgd),
    row<Adam<true>>(OptimizerType::adam, &OptimizerOptions::amsgrad),
    row<Adam<false>>(OptimizerType::adam),
    row<Adam<true>>(OptimizerType::adamw, &OptimizerOptions::amsgrad),
    row<Adam<false>>(OptimizerType::adamw),
    row<Adamax>(OptimizerType::adamax),
    row<NAdam>(OptimizerType::nadam),
    row<RAdam>(OptimizerType::radam),
    row<RmsProp<true>>(OptimizerType::rmsprop, &OptimizerOptions::centered),
    row<RmsProp<false>>(OptimizerType::rmsprop),
    row<Rprop>(OptimizerType::rprop),
    row<Adagrad>(OptimizerType::adagrad),
    row<Adadelta>(OptimizerType::adadelta),
    row<Asgd>(OptimizerType::asgd),
    row<Lion>(OptimizerType::lion),
    two_phase_row<Lars>(OptimizerType::lars),
    two_phase_row<Lamb>(OptimizerType::lamb),
};

const RuleRow& rule_of(const OptimizerOptions& options) {
  const auto* const found = std::ranges::find_if(rules, [&](const RuleRow& rule) {
    return rule.type == options.type && (rule.variant == nullptr || options.*rule.variant);
  });
  FCMNIST_CHECK(found != std::end(rules), fmt::format("type {}", static_cast<int>(options.type)));
  return *found;
}

const RuleRow& two_phase_rule_of(const OptimizerOptions& options) {
  const RuleRow& rule = rule_of(options);
  FCMNIST_CHECK(rule.prepare != nullptr, fmt::format("type {}", static_cast<int>(options.type)));
  return rule;
}

bool fit(std::span<const std::span<float>> state, const OptimizerOptions& options, std::size_t numbers) {
  const std::size_t arrays = rule_of(options).state_arrays.size() + (keeps_average(options) ? 1 : 0);
  const auto fits = [&](std::span<float> array) { return array.size() == numbers; };
  return state.size() == arrays && std::ranges::all_of(state, fits);
}

}  // namespace

std::vector<std::string_view> state_arrays(const OptimizerOptions& options) {
  const auto of_rule = rule_of(options).state_arrays;
  std::vector<std::string_view> names(of_rule.begin(), of_rule.end());
  if (keeps_average(options)) names.push_back(weight_average);
  return names;
}

double average_share(const OptimizerOptions& options, std::int64_t step_number) {
  const std::int64_t n = step_number - options.average_from_step;
  return n <= 1 ? 1.0 : std::max(1.0 / static_cast<double>(n), 1.0 - options.average_decay);
}

void limit_rows(std::span<float> weights, std::size_t row, double most) {
  FCMNIST_CHECK(row > 0 && weights.size() % row == 0,
                fmt::format("{} weights, rows of {}", weights.size(), row));
  for (std::size_t begin = 0; begin < weights.size(); begin += row) {
    const std::span<float> unit = weights.subspan(begin, row);
    const double norm = std::sqrt(sum_of_squares(unit));
    if (!(norm > most)) continue;
    const auto factor = static_cast<float>(most / norm);
    for (float& weight : unit) weight *= factor;
  }
}

bool has_two_phases(const OptimizerOptions& options) { return rule_of(options).prepare != nullptr; }

BlockSquares prepare_update(const OptimizerOptions& options, const UpdateStep& step,
                            std::span<const float> gradient, std::span<const float> weights,
                            std::span<const std::span<float>> state) {
  const RuleRow& rule = two_phase_rule_of(options);
  FCMNIST_CHECK(gradient.size() == weights.size() && fit(state, options, weights.size()),
                fmt::format("{} numbers of the gradient, {} weights, {} state arrays", gradient.size(),
                            weights.size(), state.size()));
  return rule.prepare(options, step, gradient, weights, state);
}

double trust_ratio(const OptimizerOptions& options, std::string_view array, double weight_norm,
                   double direction_norm) {
  const RuleRow& rule = two_phase_rule_of(options);
  if (is_left_out(options, array) || weight_norm == 0.0 || direction_norm == 0.0) return 1.0;
  return rule.trust_ratio(options, weight_norm, direction_norm);
}

double update_weights(const OptimizerOptions& options, const UpdateStep& step,
                      std::span<const float* const> sources, std::span<float> weights,
                      std::span<const std::span<float>> state) {
  const RuleRow& rule = rule_of(options);
  FCMNIST_CHECK(
      !sources.empty() && fit(state, options, weights.size()),
      fmt::format("{} sources, {} weights, {} state arrays", sources.size(), weights.size(), state.size()));
  return rule.update(options, step, sources, weights, state);
}

}  // namespace fcmnist::optim
