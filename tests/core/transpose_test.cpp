#include "core/transpose.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace fcmnist {
namespace {

TEST(Transpose, MovesEachNumberAndTouchesNothingElse) {
  for (const auto& [rows, cols] :
       {std::pair<std::size_t, std::size_t>{1, 1}, {1, 40}, {17, 16}, {64, 33}, {0, 5}}) {
    const std::size_t stride = cols + 2, other_stride = rows + 3;
    std::vector<float> from(rows * stride + 1), to(cols * other_stride, -1.0F);
    std::iota(from.begin(), from.end(), 1.0F);
    transpose({from.data(), rows, cols, stride}, {to.data(), cols, rows, other_stride});
    for (std::size_t c = 0; c < cols; ++c) {
      for (std::size_t r = 0; r < other_stride; ++r) {
        EXPECT_EQ(to[c * other_stride + r], r < rows ? from[r * stride + c] : -1.0F) << r << ' ' << c;
      }
    }
  }
}

}  // namespace
}  // namespace fcmnist
