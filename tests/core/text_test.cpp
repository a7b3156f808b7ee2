#include "core/text.hpp"

#include <gtest/gtest.h>

namespace fcmnist {
namespace {

TEST(Text, SpanWithEqualBoundsIsOneNumber) {
  EXPECT_EQ(span_text(2, 2), "2");
  EXPECT_EQ(span_text(1, 3), "1 to 3");
  EXPECT_EQ(span_text(Range{4, 4}), "4");
  EXPECT_EQ(span_text(Range{4, 5}), "4 to 5");
}

TEST(Text, BytesAreSaidInTheUnitOfTheirSize) {
  EXPECT_EQ(bytes_text(0), "0 kB");
  EXPECT_EQ(bytes_text(1'568), "1.57 kB");
  EXPECT_EQ(bytes_text(99'999), "100 kB");
  EXPECT_EQ(bytes_text(100'000), "0.1 MB");
  EXPECT_EQ(bytes_text(12'345'678), "12.3 MB");
  EXPECT_EQ(bytes_text(1'234'567'890), "1.23 GB");
}

TEST(Text, TimeIsSaidInTheUnitOfItsSize) {
  EXPECT_EQ(time_text(250e-6), "250 us");
  EXPECT_EQ(time_text(1.5e-3), "1.50 ms");
  EXPECT_EQ(time_text(0.999), "999.00 ms");
  EXPECT_EQ(time_text(2.0), "2.00 s");
}

TEST(Text, DurationHasHoursMinutesAndSeconds) {
  EXPECT_EQ(format_duration(0.4), "0:00:00");
  EXPECT_EQ(format_duration(59.5), "0:01:00");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(360000), "100:00:00");
}

TEST(Text, OnlyOneThingHasNoPluralEnding) {
  EXPECT_STREQ(plural(0), "s");
  EXPECT_STREQ(plural(1), "");
  EXPECT_STREQ(plural(2), "s");
  EXPECT_STREQ(plural(2, "es"), "es");
  EXPECT_STREQ(plural(1, "es"), "");
}

TEST(Text, FirstToLastNamesBothEndsUnlessTheyAreOne) {
  EXPECT_EQ(first_to_last("layer", "layers", 0, 0), "layer 0");
  EXPECT_EQ(first_to_last("layer", "layers", 1, 2), "layers 1-2");
}

TEST(Text, JoinedPartsHaveTheSeparatorBetweenThem) {
  EXPECT_EQ(joined({}, ", "), "");
  EXPECT_EQ(joined({"a"}, ", "), "a");
  EXPECT_EQ(joined({"28", "28", "1"}, " x "), "28 x 28 x 1");
}

}  // namespace
}  // namespace fcmnist
