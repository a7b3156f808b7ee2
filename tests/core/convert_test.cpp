#include "core/convert.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <vector>

namespace fcmnist {
namespace {

template <class Half>
class Convert : public testing::Test {};
using Formats = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(Convert, Formats);

/// Every upper half of a float's bits, NaNs included, with lower halves at and around what decides about
/// rounding in either format.
std::vector<float> telling_numbers() {
  std::vector<float> numbers;
  for (std::uint32_t upper = 0; upper <= 0xffffU; ++upper) {
    for (const std::uint32_t lower : {0x0U, 0x1U, 0xfffU, 0x1000U, 0x1001U, 0x2fffU, 0x3000U, 0x3001U,
                                      0x7fffU, 0x8000U, 0x8001U, 0xffffU}) {
      numbers.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  return numbers;
}

TYPED_TEST(Convert, RoundsManyAsItRoundsOne) {
  const std::vector<float> numbers = telling_numbers();
  std::vector<TypeParam> halves(numbers.size());
  convert(std::span(numbers), std::span(halves));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_EQ(halves[i].bits, TypeParam(numbers[i]).bits) << std::bit_cast<std::uint32_t>(numbers[i]);
  }
}

TYPED_TEST(Convert, WidensManyAsItWidensOne) {
  std::vector<TypeParam> halves(0x10000);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i].bits = static_cast<std::uint16_t>(i);
  std::vector<float> numbers(halves.size());
  convert(std::span<const TypeParam>(halves), std::span(numbers));
  for (std::size_t i = 0; i < halves.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(numbers[i]),
              std::bit_cast<std::uint32_t>(static_cast<float>(halves[i])))
        << i;
  }
}

TYPED_TEST(Convert, AnyLengthAtAnyAddress) {
  std::vector<float> numbers(80);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = 0.37F * static_cast<float>(i) - 11.0F;
  for (std::size_t begin = 0; begin < 5; ++begin) {
    for (std::size_t count = 0; count <= 70; ++count) {
      std::vector<TypeParam> halves(count + 1, TypeParam(7.0F));
      convert(std::span<const float>(numbers).subspan(begin, count), std::span(halves).first(count));
      std::vector<float> back(count + 1, 7.0F);
      convert(std::span<const TypeParam>(halves).first(count), std::span(back).first(count));
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(halves[i].bits, TypeParam(numbers[begin + i]).bits) << begin << " " << count;
        ASSERT_EQ(back[i], static_cast<float>(halves[i])) << begin << " " << count;
      }
      ASSERT_EQ(halves[count].bits, TypeParam(7.0F).bits) << "wrote beyond the end";
      ASSERT_EQ(back[count], 7.0F) << "wrote beyond the end";
    }
  }
}

TYPED_TEST(Convert, MatricesKeepTheirGaps) {
  const std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  std::vector<TypeParam> halves(8, TypeParam(9.0F));
  convert(MatrixView(numbers.data(), 2, 2, 3), MatrixView(halves.data(), 2, 2, 4));
  const std::vector<float> expected = {1, 2, 9, 9, 4, 5, 9, 9};
  for (std::size_t i = 0; i < halves.size(); ++i) EXPECT_EQ(static_cast<float>(halves[i]), expected[i]);
}

TEST(ConvertDeathTest, UnequalLengthsAbort) {
  const std::vector<float> numbers(3);
  std::vector<BFloat16> halves(4);
  EXPECT_DEATH(convert(std::span(numbers), std::span(halves)), "3 numbers into 4 places");
}

}  // namespace
}  // namespace fcmnist
