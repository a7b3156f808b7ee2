#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fcmnist {

/// Numbers as whole multiples of a unit, 2^exponent. Sums of integers are exact, so they are the same in
/// whatever order, and on however many ranks, they are formed. Each number is rounded once, to the nearest
/// multiple (to even).
class FixedPoint {
 public:
  /// A float is a multiple of the smallest unit; no float exceeds the limit of the largest.
  static constexpr int smallest_exponent = -149, largest_exponent = 78;
  /// Numbers that may be added up without an overflow, each within the limit.
  static constexpr std::int64_t most_terms = 4095;

  explicit FixedPoint(int exponent);

  [[nodiscard]] int exponent() const { return exponent_; }
  [[nodiscard]] double unit() const;
  /// Of one number, and of a sum: 2^50 units.
  [[nodiscard]] double limit() const;

  enum class Into { overwrite, add };
  /// sums[i] = or += values[i] / unit, rounded. Returns the largest |value|, infinity or NaN if there is one;
  /// above limit(), what it wrote means nothing.
  ///   values, sums  of equal length
  float add(std::span<const float> values, Into into, std::span<std::int64_t> sums) const;

  /// out[i] = unit * (terms[0][i] + terms[1][i] + ...), rounded to float. Returns false if a sum exceeds the
  /// limit; then the numbers mean nothing.
  ///   terms  pointers to out.size() numbers each, at least one
  [[nodiscard]] bool sum(std::span<const std::int64_t* const> terms, std::span<float> out) const;

  /// The same of numbers that are not yet in fixed point: the bits that add() and sum() give.
  struct Summed {
    float largest = 0.0F;  ///< |term|, as add() returns it
    bool fits = false;     ///< no term, and no sum, exceeds the limit
  };
  ///   terms  one of them may be `out`
  [[nodiscard]] Summed sum(std::span<const float* const> terms, std::span<float> out) const;

 private:
  int exponent_;
};

/// out[i] = terms[0][i] + terms[1][i] + ..., which may wrap around.
///   terms  pointers to out.size() numbers each, at least one; `out` may be one of them
void ordered_sum(std::span<const std::int64_t* const> terms, std::span<std::int64_t> out);

/// A sum of up to FixedPoint::most_terms numbers >= 0, which is the same in whatever order, and in however
/// many sums of their own, they are added: each number is cut into parts, small integers times powers of 2,
/// which double precision adds without rounding. For losses; 2^-51 is the largest error of a number.
class ExactSum {
 public:
  static constexpr std::size_t part_count = 3;

  ExactSum() = default;
  /// Of the sums of all parts of other sums.
  explicit ExactSum(std::span<const double, part_count> parts);

  void add(double number);
  [[nodiscard]] std::span<const double, part_count> parts() const { return parts_; }
  /// NaN if a number was; from 2^86 on, where sums would no longer be exact, infinity.
  [[nodiscard]] double value() const;

 private:
  std::array<double, part_count> parts_{};
};

}  // namespace fcmnist
