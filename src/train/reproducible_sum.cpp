#include "train/reproducible_sum.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ordered_sum.hpp"

namespace fcmnist::train {

namespace {

constexpr double below_unit =
    std::numeric_limits<double>::denorm_min();  // it is far below any square of a float

/// In integers these come before the small numbers of the caller: how many ranks have found such numbers.
enum Found : std::size_t { overflow, not_finite, not_zero, found_count };

}  // namespace

ReproducibleSum::ReproducibleSum(std::size_t most_microbatches, const comm::Grid& grid, const Layout& layout,
                                 std::size_t parameters, std::vector<Range> parts, std::size_t small_count,
                                 const comm::CommOptions& options, bool give_way)
    : grid_(&grid), small_(small_count + found_count), search_(parameters), format_(search_.exponent()) {
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

void ReproducibleSum::wait_for_node() {
  if (integers_) {
    integers_->wait_for_node();
  } else {
    floats_->wait_for_node();
  }
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

bool ReproducibleSum::repeat_for(double norm) {
  const bool repeats = search_.must_repeat(norm);
  format_ = FixedPoint(search_.exponent());
  return repeats;
}

void ReproducibleSum::set_exponent(int exponent) {
  search_.set_exponent(exponent);
  format_ = FixedPoint(search_.exponent());
}

}  // namespace fcmnist::train
