#include "store/metrics_tables.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <type_traits>
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

}  // namespace
}  // namespace fcmnist::store
