#pragma once

#include <cstddef>
#include <optional>

namespace fcmnist::train {

/// Norms below it are of gradients whose squares float cannot hold, numbers below 1e-23: what is left of them
/// depends on how blocks are summed.
constexpr double least_norm = 1e-100;

/// Finds the unit of a gradient in fixed point, 2^exponent, from step to step. Pure arithmetic on norms, so
/// the same on all ranks.
///
/// No number may exceed the limit of FixedPoint, which is at least 256 times the norm, and the unit must be
/// at most 1e-8 of the root mean square of the numbers, which leaves a factor of 30 for 545,810 of them. The
/// norm of one step gives the unit of the next. A gradient that does not fit is computed again with another
/// unit: nothing is lost or cut off.
class ExponentSearch {
 public:
  /// `numbers`: of the gradient.
  explicit ExponentSearch(std::size_t numbers);

  [[nodiscard]] int exponent() const { return exponent_; }
  /// Clamped to what FixedPoint allows.
  void set_exponent(int exponent);

  /// Whether the gradient must be computed again with the new exponent(), before it may be used; otherwise
  /// exponent() is that of the next step.
  ///   norm  of the gradient as it was summed with exponent(): NaN if a number was not finite, infinite if
  ///         one did not fit, less than least_norm if it became 0 because the unit is too large
  bool must_repeat(double norm);

 private:
  bool accept(int next_exponent);

  double numbers_;
  int exponent_;
  // Exponents that have been tried in this step: one that does not hold the numbers, and one that is too
  // coarse for their sum.
  std::optional<int> too_fine_, too_coarse_;
};

}  // namespace fcmnist::train
