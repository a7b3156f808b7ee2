#include "core/statistics.hpp"

#include <gtest/gtest.h>

namespace fcmnist {
namespace {

TEST(Median, IsInTheMiddleWhateverTheOrder) {
  EXPECT_EQ(median({3.0}), 3.0);
  EXPECT_EQ(median({3.0, 1.0, 2.0}), 2.0);
  EXPECT_EQ(median({4.0, 1.0, 3.0, 2.0}), 3.0) << "the upper one";
  EXPECT_EQ(median({5.0, 5.0, -1e300, 1e300, 5.0}), 5.0);
}

}  // namespace
}  // namespace fcmnist
