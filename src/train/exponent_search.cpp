#include "train/exponent_search.hpp"

#include <algorithm>
#include <cmath>

#include "core/fixed_point.hpp"

namespace fcmnist::train {

namespace {

constexpr double finest_share = 1e-8;  // the largest unit, as a share of the root mean square of the numbers
constexpr int headroom = 8;            // the limit of a sum is 2^headroom times the norm, or more
constexpr int limit_exponent = 50;     // FixedPoint::limit() is 2^limit_exponent units
constexpr int first_exponent = -40;    // used before any gradient is known
constexpr int coarser_by = 20;         // the change after an overflow, when the norm is not known
constexpr int finer_by = 30;           // the change after all sums were 0, when the norm is not known

}  // namespace

ExponentSearch::ExponentSearch(std::size_t numbers)
    : numbers_(static_cast<double>(numbers)), exponent_(first_exponent) {}

void ExponentSearch::set_exponent(int exponent) {
  exponent_ = std::clamp(exponent, FixedPoint::smallest_exponent, FixedPoint::largest_exponent);
}

// A search between an exponent that does not hold the numbers and one that is too coarse for their sum.
// Mostly the norm says the right one at once. When microbatches cancel each other so far that no exponent is
// fine enough for the sum and holds them, it ends with the finest that holds them.
bool ExponentSearch::must_repeat(double norm) {
  const int used = exponent_;
  if (std::isnan(norm) || norm == 0.0) return accept(used);
  if (std::isinf(norm)) {
    if (used == FixedPoint::largest_exponent) return accept(used);  // the sum of the squares is infinite
    too_fine_ = used;
    set_exponent(too_coarse_ ? (used + *too_coarse_ + 1) / 2 : used + coarser_by);
    return true;
  }
  const double largest_unit = finest_share * norm / std::sqrt(numbers_);
  const bool is_known = norm >= least_norm;
  const int by_norm = std::min(std::ilogb(norm) + 1 + headroom - limit_exponent, std::ilogb(largest_unit));
  const int best = is_known ? by_norm : used - finer_by;
  const int finest = too_fine_ ? *too_fine_ + 1 : FixedPoint::smallest_exponent;
  if (FixedPoint(used).unit() <= largest_unit || used == finest) return accept(best);
  too_coarse_ = used;
  set_exponent(std::max(best, finest));
  return true;
}

/// The gradient is good, or there is no better one. Always false.
bool ExponentSearch::accept(int next_exponent) {
  too_fine_.reset();
  too_coarse_.reset();
  set_exponent(next_exponent);
  return false;
}

}  // namespace fcmnist::train
