#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fcmnist {

/// Numbers as whole multiples of a unit, 2^exponent. Sums of integers are exact, so they do not depend on the
/// order of the terms or on the number of ranks. Each number is rounded once, to the nearest multiple (ties
/// to even).
class FixedPoint {
 public:
  /// Every float is a multiple of the smallest unit, and no float exceeds the limit of the largest.
  static constexpr int smallest_exponent = -149, largest_exponent = 78;
  /// So many numbers may be added up without an overflow if each is within the limit.
  static constexpr std::int64_t most_terms = 4095;

  explicit FixedPoint(int exponent);

  [[nodiscard]] int exponent() const { return exponent_; }
  [[nodiscard]] double unit() const;
  /// The largest magnitude of a number, and of a sum: 2^50 units.
  [[nodiscard]] double limit() const;

  enum class Into { overwrite, add };
  /// sums[i] = values[i] / unit, rounded; or sums[i] += that, with Into::add. Returns the largest |value|, or
  /// NaN if there is one. If that is not within limit(), the sums mean nothing.
  ///   values, sums  of equal length
  float add(std::span<const float> values, Into into, std::span<std::int64_t> sums) const;

  /// out[i] = unit * (terms[0][i] + terms[1][i] + ...), rounded to float. Returns false if a sum exceeds the
  /// limit; then the numbers mean nothing.
  ///   terms  pointers to out.size() numbers each, at least one
  [[nodiscard]] bool sum(std::span<const std::int64_t* const> terms, std::span<float> out) const;

  /// What sum() below returns.
  struct Summed {
    float largest = 0.0F;  ///< the largest |term|, as add() returns it
    bool fits = false;     ///< whether all terms and all sums are within the limit
  };
  /// The same sum of numbers that are not yet in fixed point. It has the bits that add() and sum() above
  /// give.
  ///   terms  pointers to out.size() numbers each, at least one; one of them may be `out`
  [[nodiscard]] Summed sum(std::span<const float* const> terms, std::span<float> out) const;

 private:
  int exponent_;
};

/// out[i] = terms[0][i] + terms[1][i] + ..., which may wrap around.
///   terms  pointers to out.size() numbers each, at least one; `out` may be one of them
void ordered_sum(std::span<const std::int64_t* const> terms, std::span<std::int64_t> out);

/// A sum of up to FixedPoint::most_terms numbers >= 0, which are losses. It depends neither on the order of
/// the numbers nor on how they were grouped into other sums: each number is cut into parts, which are small
/// integers times powers of 2, and double precision adds those without rounding. The error of a number is at
/// most 2^-51.
class ExactSum {
 public:
  static constexpr std::size_t part_count = 3;

  ExactSum() = default;
  /// The total of several sums, from the sums of their parts.
  explicit ExactSum(std::span<const double, part_count> parts);

  void add(double number);
  [[nodiscard]] std::span<const double, part_count> parts() const { return parts_; }
  /// NaN if a number was NaN; infinity from 2^86 on, where sums would no longer be exact.
  [[nodiscard]] double value() const;

 private:
  std::array<double, part_count> parts_{};
};

}  // namespace fcmnist
