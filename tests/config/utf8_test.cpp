#include "config/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace fcmnist::config {
namespace {

TEST(Utf8, AcceptsTextOfEveryLength) {
  EXPECT_FALSE(first_not_text(""));
  EXPECT_FALSE(first_not_text("tab\t line\r\n"));
  EXPECT_FALSE(first_not_text("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"));  // 2, 3 and 4 bytes
  EXPECT_FALSE(
      first_not_text("\xED\x9F\xBF \xEE\x80\x80 \xF4\x8F\xBF\xBF"));  // around the surrogates, U+10FFFF
}

TEST(Utf8, FindsTheFirstByteThatIsNotText) {
  EXPECT_EQ(first_not_text(std::string("ab\0c", 4)), 2U);
  EXPECT_EQ(first_not_text("a\x7F"), 1U);
  EXPECT_EQ(first_not_text("abc\x1B[1m"), 3U);
  EXPECT_EQ(first_not_text("\x80"), 0U);              // continuation without lead
  EXPECT_EQ(first_not_text("ab\xC3"), 2U);            // cut off
  EXPECT_EQ(first_not_text("\xE2\x82"), 0U);          // cut off
  EXPECT_EQ(first_not_text("\xC3("), 0U);             // lead without continuation
  EXPECT_EQ(first_not_text("\xC0\xAF"), 0U);          // overlong
  EXPECT_EQ(first_not_text("\xE0\x80\xAF"), 0U);      // overlong
  EXPECT_EQ(first_not_text("\xF0\x80\x80\xAF"), 0U);  // overlong
  EXPECT_EQ(first_not_text("\xED\xA0\x80"), 0U);      // surrogate
  EXPECT_EQ(first_not_text("\xF4\x90\x80\x80"), 0U);  // beyond U+10FFFF
  EXPECT_EQ(first_not_text("\xFF\xFEp"), 0U);         // UTF-16
}

}  // namespace
}  // namespace fcmnist::config
