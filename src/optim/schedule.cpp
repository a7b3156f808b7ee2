#include "optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.hpp"

namespace fcmnist::optim {

namespace {

/// `progress` = t / T in [0, 1].
double value_at(const SchedulePiece& piece, double progress) {
  const double initial = piece.initial_learning_rate;
  const double end = piece.end_learning_rate;
  switch (piece.kind) {
    case ScheduleKind::constant:
      return initial;
    case ScheduleKind::linear:
      return initial + (end - initial) * progress;
    case ScheduleKind::polynomial:
      return end + (initial - end) * std::pow(1.0 - progress, piece.power);
    case ScheduleKind::cosine:
      return end + (initial - end) * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
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
    if (step < begin + length || last) {
      const double progress = static_cast<double>(step - begin) / static_cast<double>(length);
      return value_at(pieces[p], std::min(progress, 1.0));
    }
    begin += length;
  }
  FCMNIST_CHECK(false, "unreachable");
}

}  // namespace fcmnist::optim
