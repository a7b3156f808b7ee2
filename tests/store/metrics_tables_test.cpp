#include "store/metrics_tables.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.hpp"

namespace fcmnist::store {
namespace {

/// A table of one row with the numbers 1, 2, 3, ..., as the program would write it without these columns.
hdf5::Group table_without(const hdf5::File& file, const std::vector<std::string_view>& absent) {
  const hdf5::Group group = file.root().create_group("train");
  int number = 0;
  for_each_column(static_cast<const TrainRow*>(nullptr),
                  [&](const char* name, auto member, const char*, const char*) {
                    ++number;
                    if (std::ranges::find(absent, name) != absent.end()) return;
                    const auto value = static_cast<std::decay_t<decltype(TrainRow().*member)>>(number);
                    group.write_extendible(name, {1}, &value, 1);
                  });
  return group;
}

TEST(MetricsTables, ColumnsThatCameWithLaterReleasesMayBeAbsent) {
  const hdf5::File file = hdf5::File::create("old");
  const auto rows = read_train_table(table_without(file, {"skipped", "bubble_fraction", "loss_scale"}));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].step, 1);
  EXPECT_EQ(rows[0].files_s, 12);
  EXPECT_EQ(rows[0].skipped, 0);
  EXPECT_EQ(rows[0].bubble_fraction, 0);
  EXPECT_EQ(rows[0].loss_scale, 0);
}

TEST(MetricsTables, OtherColumnsMayNot) {
  const hdf5::File file = hdf5::File::create("damaged");
  EXPECT_THROW(read_train_table(table_without(file, {"grad_norm"})), StoreError);
}

EvalRow two_classes(std::int64_t step, std::vector<std::uint8_t> predicted) {
  return {step, 0, 0.5, 0.5, 1.0, {1, 0, 0, 1}, std::move(predicted)};
}

TEST(MetricsTables, EvaluationsMayHaveScoredDifferentNumbersOfSamples) {
  const std::vector<EvalRow> rows = {two_classes(1, {0, 1, 1}), two_classes(2, {}), two_classes(3, {1})};
  const hdf5::File file = hdf5::File::create("new");
  const hdf5::Group group = file.root().create_group("eval");
  write_table(group, rows, 2);
  EXPECT_EQ(group.describe("predicted"), "int16 3 x 3");
  EXPECT_EQ(read_eval_table(group, 2), rows);
}

TEST(MetricsTables, TheLastOf256ClassesMayBePredicted) {
  EvalRow row = two_classes(1, {0, 255, 128});
  row.confusion.assign(256 * 256, 0);
  const hdf5::File file = hdf5::File::create("new");
  const hdf5::Group group = file.root().create_group("eval");
  write_table(group, {row}, 256);
  EXPECT_EQ(read_eval_table(group, 256), std::vector<EvalRow>{row});
}

TEST(MetricsTables, EvaluationsOfOlderFilesHaveNoPredictions) {
  const std::vector<EvalRow> rows = {two_classes(1, {}), two_classes(2, {})};
  const hdf5::File file = hdf5::File::create("old");
  const hdf5::Group group = file.root().create_group("eval");
  write_table(group, rows, 2);
  EXPECT_FALSE(group.has("predicted"));
  EXPECT_EQ(read_eval_table(group, 2), rows);
}

TEST(MetricsTables, APredictedClassThatThereIsNotIsAnError) {
  const hdf5::File file = hdf5::File::create("damaged");
  const hdf5::Group group = file.root().create_group("eval");
  write_table(group, {two_classes(1, {0, 2})}, 2);
  EXPECT_THROW(read_eval_table(group, 2), StoreError);
}

TEST(ArrayTable, HasANumberForEachArrayOfEachLogLine) {
  const std::vector<ArrayRow> rows = {{50, {1.0F, 2.0F}, {0.5F, 0.25F}}, {100, {3.0F, 4.0F}, {0.0F, 1.0F}}};
  const hdf5::File file = hdf5::File::create("new");
  write_array_table(file.root(), rows, {"last_layer.weight", "last_layer.bias"});
  EXPECT_EQ(file.root().describe("arrays/weight_norm"), "float32 2 x 2");
  EXPECT_EQ(file.root().describe("arrays/array"), "int64 2");
  EXPECT_EQ(read_array_table(file.root()), rows);
}

TEST(ArrayTable, FilesOfOlderReleasesHaveNone) {
  const hdf5::File file = hdf5::File::create("old");
  EXPECT_TRUE(read_array_table(file.root()).empty());
  write_array_table(file.root(), {}, {});
  EXPECT_FALSE(file.root().has("arrays"));
}

RankRow world_of(std::int64_t step, std::size_t ranks) {
  RankRow row{step, false, {}};
  for (std::size_t r = 0; r < ranks; ++r)
    row.ranks.push_back({.compute_s = 0.5F, .wait_s = static_cast<float>(r)});
  return row;
}

TEST(RankTables, WorldsMayHaveDifferentSizes) {
  const std::vector<RankRow> rows = {world_of(50, 2), world_of(100, 3), world_of(150, 1)};
  const hdf5::File file = hdf5::File::create("new");
  write_rank_tables(file.root(), rows, {10, {}, {"a", "b", "c"}, {"0", "1", "0"}});
  EXPECT_EQ(file.root().describe("ranks/wait_s"), "float32 3 x 3");
  EXPECT_EQ(file.root().describe("ranks/rank"), "int64 3");
  EXPECT_FALSE(file.root().has("ranks_summary"));
  EXPECT_EQ(read_rank_tables(file.root()), rows);
}

TEST(RankTables, BeyondALimitThereIsASummary) {
  const RankRow large = world_of(100, most_ranks + 1);
  EXPECT_EQ(rank_row(100, world_of(100, most_ranks).ranks).ranks.size(), most_ranks);
  const RankRow summary = rank_row(100, large.ranks);
  ASSERT_TRUE(summary.is_summary);
  ASSERT_EQ(summary.ranks.size(), 3U);
  EXPECT_EQ(summary.ranks[0].wait_s, 0.0F);
  EXPECT_EQ(summary.ranks[1].wait_s, 2048.0F);
  EXPECT_EQ(summary.ranks[2].wait_s, 4096.0F);

  const std::vector<RankRow> rows = {world_of(50, 2), summary, world_of(150, 3)};
  const hdf5::File file = hdf5::File::create("new");
  write_rank_tables(file.root(), rows, 10);
  EXPECT_EQ(file.root().describe("ranks_summary/statistic"), "int64 3");
  EXPECT_EQ(read_rank_tables(file.root()), rows);
}

TEST(RankTables, FilesOfOlderReleasesLackTheColumnOfExposedTime) {
  const hdf5::File file = hdf5::File::create("old");
  const hdf5::Group group = file.root().create_group("ranks");
  const std::int64_t step = 50;
  group.write_extendible("step", {1}, &step, 1);
  for_each_rank_column([&](const char* name, auto member, const char*) {
    const RankRow row = world_of(step, 2);
    const float column[] = {row.ranks[0].*member, row.ranks[1].*member};
    if (std::string_view(name) != "exposed_s") group.write_extendible(name, {1, 2}, column, 1);
  });
  const std::vector<RankRow> rows = read_rank_tables(file.root());
  ASSERT_EQ(rows.size(), 1U);
  ASSERT_EQ(rows[0].ranks.size(), 2U);
  EXPECT_EQ(rows[0].ranks[1].wait_s, 1.0F);
  EXPECT_TRUE(std::isnan(rows[0].ranks[1].exposed_s));
}

TEST(RankTables, FilesOfOlderReleasesHaveNone) {
  const hdf5::File file = hdf5::File::create("old");
  EXPECT_TRUE(read_rank_tables(file.root()).empty());
}

}  // namespace
}  // namespace fcmnist::store
