#include "store/trace_file.hpp"

#include <gtest/gtest.h>

#include "store/hdf5.hpp"

namespace fcmnist::store {
namespace {

/// Two ranks. The clock of the second is 10 s behind at its time 100 s, and 12 s behind at its time 104 s.
Trace two_ranks() {
  Trace trace;
  trace.activities = {"forward", "wait"};
  trace.layers = {"last_layer"};
  trace.ranks = {{"a", "0", 0, 0, {50.0, 0.0, 0.0}, {60.0, 0.0, 0.0}},
                 {"b", "1", 1, 0, {100.0, 10.0, 0.25}, {104.0, 12.0, 0.5}}};
  trace.spans = {{112.0, 113.0, 11, 0, 0, 0, 0}, {101.0, 102.0, 11, 1, -1, -1, 1}};
  return trace;
}

TEST(TraceFile, TimesAreThoseOfTheClockOfRank0FromTheFirstSpanOn) {
  Trace trace = two_ranks();
  align_clocks(trace);
  EXPECT_DOUBLE_EQ(trace.spans[1].begin_s, 0.0) << "101 + 10.5 s";
  EXPECT_DOUBLE_EQ(trace.spans[1].end_s, 1.5) << "102 + 11 s";
  EXPECT_DOUBLE_EQ(trace.spans[0].begin_s, 0.5);
  EXPECT_DOUBLE_EQ(trace.spans[0].end_s, 1.5);
}

TEST(TraceFile, ClocksMayHaveBeenComparedAtOneTimeOnly) {
  Trace trace = two_ranks();
  trace.ranks[1].after = trace.ranks[1].before;
  align_clocks(trace);
  EXPECT_DOUBLE_EQ(trace.spans[1].end_s, 1.0);
  EXPECT_DOUBLE_EQ(trace.spans[0].begin_s, 1.0);
}

TEST(TraceFile, HoldsEverySpanAndRank) {
  const std::vector<std::byte> image = trace_image("trace.h5", two_ranks(), "a: 1\n", {});
  const hdf5::Group root = hdf5::File::open("trace.h5", image).root();
  EXPECT_EQ(root.describe("spans/begin_s"), "float64 2");
  EXPECT_EQ(root.describe("spans/span"), "int64 2");
  EXPECT_EQ(root.describe("spans/layer"), "int16 2");
  EXPECT_EQ(root.describe("spans/rank"), "int32 2");
  std::vector<std::uint8_t> activity(2);
  root.group("spans").read("activity", {2}, activity.data());
  EXPECT_EQ(activity, (std::vector<std::uint8_t>{0, 1}));
  std::vector<double> numbers(2);
  const hdf5::Group ranks = root.group("ranks");
  ranks.read("clock_offset_s", {2}, numbers.data());
  EXPECT_EQ(numbers, (std::vector<double>{0.0, 11.0}));
  ranks.read("clock_drift_s", {2}, numbers.data());
  EXPECT_EQ(numbers, (std::vector<double>{0.0, 2.0}));
  ranks.read("clock_error_s", {2}, numbers.data());
  EXPECT_EQ(numbers, (std::vector<double>{0.0, 0.5}));
}

}  // namespace
}  // namespace fcmnist::store
