#include "train/reproducible_sum.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ordered_sum.hpp"

namespace fcmnist::train {

namespace {

constexpr double finest_share = 1e-8;  // of the root mean square of the gradient's numbers: the largest unit
constexpr int headroom = 8;            // the limit of a sum is so many powers of 2 above the norm, or more
constexpr int limit_exponent = 50;     // of FixedPoint::limit(), in units
constexpr int first_exponent = -40;    // before any gradient is known
constexpr int coarser_by = 20;         // after an overflow, when the norm is not known
constexpr int finer_by = 30;           // when all sums are 0, and the norm is not known

constexpr double below_unit = std::numeric_limits<double>::denorm_min();  // far below any square of a float

/// Before the small numbers of the caller, if in integers: how many ranks have such numbers.
enum Found : std::size_t { overflow, not_finite, not_zero, found_count };

}  // namespace

ReproducibleSum::ReproducibleSum(std::size_t most_microbatches, const comm::Grid& grid, const Layout& layout,
                                 std::size_t parameters, std::vector<Range> parts, std::size_t small_count,
                                 const comm::CommOptions& options, bool give_way)
    : grid_(&grid),
      count_(static_cast<double>(parameters)),
      small_(small_count + found_count),
      format_(first_exponent) {
  const comm::Topology& stage = grid.of_stage();
  if (needs_integers(most_microbatches, grid.world().node_count())) {
    integers_.emplace(stage, layout, std::move(parts), small_.size(), options, give_way);
    microbatch_.emplace(layout);
  } else {
    floats_.emplace(stage, layout, std::move(parts), small_count, options, give_way);
  }
}

comm::BlockOwners& ReproducibleSum::owners() {
  if (integers_) return *integers_;
  return *floats_;
}

ArenaView<float> ReproducibleSum::target() {
  return integers_ ? microbatch_->view() : floats_->local_gradient();
}

void ReproducibleSum::begin(std::span<const double> small) {
  if (!integers_) return floats_->begin(small);
  std::ranges::copy(small, small_.begin() + found_count);
}

void ReproducibleSum::part_written(bool first_microbatch, bool last_microbatch) {
  if (integers_) {
    add_part(first_microbatch, last_microbatch);
  } else {
    floats_->post();
  }
}

// All is posted at the end: what is wrong with a gradient is known only then.
void ReproducibleSum::add_part(bool first_microbatch, bool last_microbatch) {
  if (first_microbatch && part_ == 0) {
    largest_ = 0.0F;
    is_finite_ = true;
  }
  const auto parts = integers_->parts();
  const Range part = parts[part_];
  const float largest = format_.add(target().all().subspan(part.begin, part.size()),
                                    first_microbatch ? FixedPoint::Into::overwrite : FixedPoint::Into::add,
                                    integers_->local_gradient().all().subspan(part.begin, part.size()));
  largest_ = std::max(largest_, largest);
  is_finite_ = is_finite_ && std::isfinite(largest);
  if (++part_ < parts.size()) return;
  part_ = 0;
  if (!last_microbatch) return;
  small_[not_finite] = is_finite_ ? 0.0 : 1.0;
  small_[not_zero] = largest_ > 0.0F ? 1.0 : 0.0;
  small_[overflow] = largest_ > format_.limit() ? 1.0 : 0.0;
  integers_->begin(small_);
  for (std::size_t p = 0; p < parts.size(); ++p) integers_->post();
}

std::span<const double> ReproducibleSum::finish() {
  const std::span<double> sums = integers_ ? integers_->finish() : floats_->finish();
  grid_->sum_over_stages(sums);
  sums_ = sums;
  if (!integers_) return sums_;
  return sums_.subspan(found_count);
}

std::span<const float* const> ReproducibleSum::sources(const Block& block) {
  collect(block);
  return collected(block);
}

double ReproducibleSum::collect(const Block& block) {
  return integers_ ? collect_integers(block) : collect_floats(block);
}

double ReproducibleSum::collect_floats(const Block& block) {
  const std::span<float> sum = target().block(block);
  const FixedPoint::Summed summed = format_.sum(floats_->sources(block), sum);
  if (!std::isfinite(summed.largest)) return std::numeric_limits<double>::quiet_NaN();
  if (!summed.fits) return std::numeric_limits<double>::infinity();
  const double squares = sum_of_squares(sum);
  return squares == 0.0 && summed.largest > 0.0F ? below_unit : squares;
}

double ReproducibleSum::collect_integers(const Block& block) {
  if (sums_[not_finite] > 0.0) return std::numeric_limits<double>::quiet_NaN();
  const std::span<float> sum = target().block(block);
  const bool fits = sums_[overflow] == 0.0 && format_.sum(integers_->sources(block), sum);
  if (!fits) return std::numeric_limits<double>::infinity();
  const double squares = sum_of_squares(sum);
  return squares == 0.0 && sums_[not_zero] > 0.0 ? below_unit : squares;
}

std::span<const float* const> ReproducibleSum::collected(const Block& block) {
  sum_ = target().block(block).data();
  return {&sum_, 1};
}

// A search for the exponent between one that does not hold the numbers and one that is too coarse for their
// sum. Mostly the norm says it at once. When microbatches cancel each other so far that none is fine enough
// for the sum and holds them, it ends with the finest that holds them.
bool ReproducibleSum::repeat_for(double norm) {
  const int used = format_.exponent();
  if (std::isnan(norm) || norm == 0.0) return accept(used);
  if (std::isinf(norm)) {
    if (used == FixedPoint::largest_exponent) return accept(used);  // the sum of the squares is infinite
    too_fine_ = used;
    set_exponent(too_coarse_ ? (used + *too_coarse_ + 1) / 2 : used + coarser_by);
    return true;
  }
  const double largest_unit = finest_share * norm / std::sqrt(count_);
  const bool is_known = norm >= least_norm;  // else blocks are below_unit
  const int by_norm = std::min(std::ilogb(norm) + 1 + headroom - limit_exponent, std::ilogb(largest_unit));
  const int best = is_known ? by_norm : used - finer_by;
  const int finest = too_fine_ ? *too_fine_ + 1 : FixedPoint::smallest_exponent;
  if (format_.unit() <= largest_unit || used == finest) return accept(best);
  too_coarse_ = used;
  set_exponent(std::max(best, finest));
  return true;
}

/// The gradient is good, or there is no better one. Always false.
bool ReproducibleSum::accept(int next_exponent) {
  too_fine_.reset();
  too_coarse_.reset();
  set_exponent(next_exponent);
  return false;
}

void ReproducibleSum::set_exponent(int exponent) {
  format_ = FixedPoint(std::clamp(exponent, FixedPoint::smallest_exponent, FixedPoint::largest_exponent));
}

}  // namespace fcmnist::train
