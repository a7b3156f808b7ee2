#include "model/working_weights.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/random_matrix.hpp"

namespace fcmnist::model {
namespace {

template <class T>
class RoundedWeights : public testing::Test {
 protected:
  RoundedWeights() { layout_.add("weight", 30, 33); }
  Layout layout_;
};
using NumberTypes = testing::Types<float, BFloat16, Float16>;
TYPED_TEST_SUITE(RoundedWeights, NumberTypes);

TYPED_TEST(RoundedWeights, AreTheMastersRoundedInThisRangeAlone) {
  const Layout& layout = this->layout_;
  const Arena<float> masters(layout);
  std::ranges::copy(test::random_numbers(layout.size(), 1), masters.view().data());
  AlignedArray<std::byte> bytes(layout.size() * sizeof(TypeParam));
  const WorkingWeights working(layout, precision_of_type<TypeParam>, bytes.data());
  const Range some{17, 500};
  working.round(some, masters.view());
  const auto numbers = working.as<TypeParam>().all();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const bool is_inside = some.begin <= i && i < some.end;
    const TypeParam expected(is_inside ? masters.view().data()[i] : 0.0F);
    ASSERT_EQ(static_cast<float>(numbers[i]), static_cast<float>(expected)) << i;
  }
}

// What master weights are for: steps that are lost when the sum is rounded each time.
TYPED_TEST(RoundedWeights, FollowManySmallStepsOfTheMasters) {
  const Layout& layout = this->layout_;
  const Arena<float> masters(layout);
  std::ranges::fill(masters.view().all(), 1.0F);
  AlignedArray<std::byte> bytes(layout.size() * sizeof(TypeParam));
  const WorkingWeights working(layout, precision_of_type<TypeParam>, bytes.data());
  for (int step = 0; step < 1000; ++step) {
    for (float& master : masters.view().all()) master += 1e-4F;
    working.round({0, layout.size()}, masters.view());
  }
  EXPECT_NEAR(static_cast<float>(working.as<TypeParam>().data()[0]), 1.1, 0.01);
}

}  // namespace
}  // namespace fcmnist::model
