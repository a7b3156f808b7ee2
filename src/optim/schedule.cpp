#include "optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.hpp"

namespace fcmnist::optim {

namespace {

/// From `from` to `to` along half a cosine, or in a straight line; `progress` in [0, 1] is the part that is done.
double anneal(AnnealStrategy strategy, double from, double to, double progress) {
  if (strategy == AnnealStrategy::linear) return from + (to - from) * progress;
  return to + (from - to) * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

double rounded_down_if(bool staircase, double number) { return staircase ? std::floor(number) : number; }

std::size_t milestones_reached(const SchedulePiece& piece, long t) {
  return static_cast<std::size_t>(
      std::ranges::count_if(piece.milestones, [t](long milestone) { return t >= milestone; }));
}

/// The place in the cycle, as a part of it. The n-th cycle is period_factor^n times as long as the first: in double, for a long
/// would overflow.
double part_of_restarted_cycle(const SchedulePiece& piece, long t) {
  auto rest = static_cast<double>(t), length = static_cast<double>(piece.period);
  if (piece.period_factor == 1) return std::fmod(rest, length) / length;
  for (; rest >= length; length *= static_cast<double>(piece.period_factor)) rest -= length;
  return rest / length;
}

double cyclic(const SchedulePiece& piece, long t) {
  const auto up = static_cast<double>(piece.period);
  const double down = piece.steps_down > 0 ? static_cast<double>(piece.steps_down) : up;
  const double cycles = std::floor(static_cast<double>(t) / (up + down));
  const double within = static_cast<double>(t) - cycles * (up + down);
  double height = within <= up ? within / up : (up + down - within) / down;
  if (piece.mode == CyclicMode::triangular2) height *= std::pow(0.5, cycles);
  if (piece.mode == CyclicMode::exp_range) height *= std::pow(piece.factor, static_cast<double>(t));
  return piece.initial_learning_rate + (piece.max_learning_rate - piece.initial_learning_rate) * height;
}

double one_cycle(const SchedulePiece& piece, long t, long length) {
  const auto total = static_cast<double>(length), now = static_cast<double>(std::min(t, length - 1));
  const double initial = piece.initial_learning_rate, top = piece.max_learning_rate;
  const double last = initial / piece.final_div_factor;
  const double top_at = piece.pct_start * total - 1.0, end_at = total - 1.0;
  const auto between = [&](double begin, double end, double from, double to) {
    const double progress = end > begin ? (now - begin) / (end - begin) : 1.0;
    return anneal(piece.anneal_strategy, from, to, progress);
  };
  if (now <= top_at) return between(0.0, top_at, initial, top);
  if (!piece.three_phase) return between(top_at, end_at, top, last);
  const double initial_at = 2.0 * piece.pct_start * total - 2.0;
  if (now <= initial_at) return between(top_at, initial_at, top, initial);
  return between(initial_at, end_at, initial, last);
}

double value_at(const SchedulePiece& piece, long t, long length) {
  const double initial = piece.initial_learning_rate, end = piece.end_learning_rate;
  const double progress = std::min(static_cast<double>(t) / static_cast<double>(length), 1.0);
  const auto steps = static_cast<double>(t), period = static_cast<double>(piece.period);
  switch (piece.kind) {
    case ScheduleKind::constant:
      return initial;
    case ScheduleKind::linear:
      return anneal(AnnealStrategy::linear, initial, end, progress);
    case ScheduleKind::polynomial:
      return end + (initial - end) * std::pow(1.0 - progress, piece.power);
    case ScheduleKind::cosine:
      return anneal(AnnealStrategy::cos, initial, end, progress);
    case ScheduleKind::exponential:
      return initial * std::pow(piece.factor, rounded_down_if(piece.staircase, steps / period));
    case ScheduleKind::inverse_exponential_time_decay:
      return initial /
             (1.0 + piece.factor * rounded_down_if(piece.staircase, std::pow(steps, piece.power) / period));
    case ScheduleKind::inverse_square_root_decay:
      return initial * piece.factor / std::sqrt(static_cast<double>(std::max(t, piece.warmup_steps)));
    case ScheduleKind::piecewise_constant:
      return piece.learning_rates[milestones_reached(piece, t)];
    case ScheduleKind::multi_step:
      return initial * std::pow(piece.factor, static_cast<double>(milestones_reached(piece, t)));
    case ScheduleKind::step:
      return initial * std::pow(piece.factor, std::floor(steps / period));
    case ScheduleKind::multiplicative:
      return initial * std::pow(piece.factor, steps);
    case ScheduleKind::cosine_annealing:
      return anneal(AnnealStrategy::cos, initial, end, steps / period);
    case ScheduleKind::cosine_annealing_warm_restarts:
      return anneal(AnnealStrategy::cos, initial, end, part_of_restarted_cycle(piece, t));
    case ScheduleKind::cyclic:
      return cyclic(piece, t);
    case ScheduleKind::one_cycle:
      return one_cycle(piece, t, length);
  }
  FCMNIST_CHECK(false, "schedule kind");
}

}  // namespace

double learning_rate(std::span<const SchedulePiece> pieces, long step, long total_steps) {
  FCMNIST_CHECK(!pieces.empty(), "no schedule");
  long begin = 0;
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const bool last = p + 1 == pieces.size();
    const long length = pieces[p].steps > 0 ? pieces[p].steps : std::max(total_steps - begin, 1L);
    if (step < begin + length || last) return value_at(pieces[p], step - begin, length);
    begin += length;
  }
  FCMNIST_CHECK(false, "unreachable");
}

double rate_factor(const OptimizerOptions& options, std::size_t step_samples) {
  const double ratio = static_cast<double>(step_samples) / options.base_batch_size;
  switch (options.lr_scaling) {
    case RateScaling::none:
      return 1.0;
    case RateScaling::linear:
      return ratio;
    case RateScaling::sqrt:
      return std::sqrt(ratio);
  }
  FCMNIST_CHECK(false, "rate scaling");
}

}  // namespace fcmnist::optim
