#include "config/nearest.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fcmnist::config {
namespace {

TEST(EditDistance, OfKnownPairs) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("flaw", "lawn"), 2U);
}

TEST(Nearest, FindsASlipAndNothingElse) {
  const std::vector<std::string> names = {"batch_size", "shuffle", "seed"};
  EXPECT_EQ(nearest("batchsize", names), "batch_size");
  EXPECT_EQ(nearest("sed", names), "seed");
  EXPECT_EQ(nearest("shufle", names), "shuffle");
  EXPECT_EQ(nearest("momentum", names), "");
  EXPECT_EQ(nearest("", std::vector<std::string>{"abc"}), "");
  EXPECT_EQ(nearest(std::string(100000, 'x'), names), "");
}

TEST(Nearest, TakesTheFirstOfEquallyCloseNames) {
  EXPECT_EQ(nearest("beta3", std::vector<std::string>{"beta1", "beta2"}), "beta1");
}

}  // namespace
}  // namespace fcmnist::config
