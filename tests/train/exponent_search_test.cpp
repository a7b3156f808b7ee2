#include "train/exponent_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/fixed_point.hpp"

namespace fcmnist::train {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr std::size_t numbers = 545'810;

/// The norm that a sum with this exponent finds of a gradient whose largest number is `largest`: infinite if
/// it does not fit, next to nothing if the unit is too large for its root mean square.
double found_norm(int exponent, double norm, double largest) {
  const FixedPoint format(exponent);
  if (largest > format.limit()) return infinite;
  return norm / std::sqrt(static_cast<double>(numbers)) < format.unit() / 2
             ? std::numeric_limits<double>::denorm_min()
             : norm;
}

/// Repeats until a gradient is accepted. Returns the exponent that it was summed with.
int search(ExponentSearch& exponents, double norm, double largest) {
  for (int tries = 0; tries < 40; ++tries) {
    const int used = exponents.exponent();
    if (!exponents.must_repeat(found_norm(used, norm, largest))) return used;
  }
  ADD_FAILURE() << "no exponent in 40 tries for the norm " << norm;
  return 0;
}

TEST(ExponentSearch, FindsAUnitThatHoldsTheNumbersAndIsFineEnough) {
  for (const int from : {-149, -40, 0, 78}) {
    for (const double norm : {1e-20, 1e-6, 0.3, 1.0, 700.0, 1e12}) {
      ExponentSearch exponents(numbers);
      exponents.set_exponent(from);
      const FixedPoint format(search(exponents, norm, norm));
      EXPECT_GE(format.limit(), norm);
      EXPECT_LE(format.unit(), 1e-8 * norm / std::sqrt(static_cast<double>(numbers)))
          << norm << " from " << from;
    }
  }
}

TEST(ExponentSearch, AfterAStepTheNextOfTheSameSizeIsAcceptedAtOnce) {
  ExponentSearch exponents(numbers);
  search(exponents, 0.7, 0.7);
  for (const double norm : {0.7, 0.1, 5.0}) {
    EXPECT_FALSE(exponents.must_repeat(found_norm(exponents.exponent(), norm, norm))) << norm;
  }
}

TEST(ExponentSearch, ANumberThatIsNotFiniteOrAGradientOfZerosChangesNothing) {
  for (const double norm : {std::numeric_limits<double>::quiet_NaN(), 0.0}) {
    ExponentSearch exponents(numbers);
    exponents.set_exponent(-33);
    EXPECT_FALSE(exponents.must_repeat(norm));
    EXPECT_EQ(exponents.exponent(), -33);
  }
}

TEST(ExponentSearch, AGradientThatNoUnitHoldsIsAcceptedAsItIs) {
  ExponentSearch exponents(numbers);
  int tries = 0;
  while (exponents.must_repeat(infinite)) ASSERT_LT(++tries, 40);
  EXPECT_EQ(exponents.exponent(), FixedPoint::largest_exponent);
}

// Microbatches that cancel each other: numbers of 1e6 whose sum has the norm 1e-9.
TEST(ExponentSearch, WhereNoUnitIsBothItTakesTheFinestThatHoldsTheNumbers) {
  ExponentSearch exponents(numbers);
  const int used = search(exponents, 1e-9, 1e6);
  EXPECT_GE(FixedPoint(used).limit(), 1e6);
  EXPECT_LT(FixedPoint(used - 1).limit(), 1e6);
}

TEST(ExponentSearch, StaysWithinWhatFixedPointAllows) {
  ExponentSearch exponents(numbers);
  exponents.set_exponent(1000);
  EXPECT_EQ(exponents.exponent(), FixedPoint::largest_exponent);
  exponents.set_exponent(-1000);
  EXPECT_EQ(exponents.exponent(), FixedPoint::smallest_exponent);
}

}  // namespace
}  // namespace fcmnist::train
