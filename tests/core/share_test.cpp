#include "core/share.hpp"

#include <gtest/gtest.h>

namespace fcmnist {
namespace {

TEST(Share, CoversDisjointlyAndDiffersByAtMostOne) {
  for (std::size_t count : {0U, 1U, 3U, 127U, 128U, 10'000U}) {
    for (std::size_t parts : {1U, 2U, 3U, 7U, 128U}) {
      std::size_t next = 0;
      for (std::size_t i = 0; i < parts; ++i) {
        const Range share = share_of(count, parts, i);
        EXPECT_EQ(share.begin, next);
        EXPECT_GE(share.size(), count / parts);
        EXPECT_LE(share.size(), (count + parts - 1) / parts);
        next = share.end;
      }
      EXPECT_EQ(next, count);
    }
  }
}

}  // namespace
}  // namespace fcmnist
