#include "store/metrics_file.hpp"

#include <limits>
#include <sstream>

#include "core/error.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

struct MetricsFileTest : testing::Test {
  TemporaryDirectory directory;
  std::filesystem::path path = directory / "metrics.h5";
  test::LogText logged;
  Logger& log = logged.log();

  MetricsFile open(std::size_t classes = 3) {
    return MetricsFile::open_or_create(path, classes, "a: 1\n", {}, log);
  }
};

TEST_F(MetricsFileTest, GivesBackItsRowsAndGoesOn) {
  MetricsFile file = open();
  for (long step = 1; step <= 2500; ++step) file.append(train_row(step));  // more than one chunk
  for (long step = 100; step <= 1200; step += 100) file.append(eval_row(step, 3));
  file.write();

  MetricsFile again = open();
  EXPECT_TRUE(again.train() == file.train());
  EXPECT_TRUE(again.eval() == file.eval());
  again.append(train_row(2501));
  again.write();
  EXPECT_EQ(open().train().size(), 2501U);
  EXPECT_EQ(logged.text(), "");
}

TEST_F(MetricsFileTest, AFileWithoutRowsIsAFile) {
  open().write();
  EXPECT_TRUE(open().train().empty());
  EXPECT_TRUE(open().eval().empty());
  EXPECT_EQ(logged.text(), "");
}

TEST_F(MetricsFileTest, KeepsNumbersThatAreNotFinite) {
  MetricsFile file = open();
  TrainRow row = train_row(1);
  row.loss = std::numeric_limits<double>::quiet_NaN();
  row.grad_norm = std::numeric_limits<double>::infinity();
  file.append(row);
  file.write();
  EXPECT_TRUE(std::isnan(open().train().at(0).loss));
  EXPECT_EQ(open().train().at(0).grad_norm, row.grad_norm);
}

TEST_F(MetricsFileTest, AResumeForgetsLaterRowsAndRepeatsNone) {
  MetricsFile file = open();
  for (long step = 1; step <= 10; ++step) file.append(train_row(step));
  file.append(eval_row(5, 3));
  file.append(eval_row(10, 3));
  file.truncate_after(7);
  EXPECT_EQ(file.train().size(), 7U);
  EXPECT_EQ(file.train().back().step, 7);
  EXPECT_EQ(file.eval().size(), 1U);
  file.append(train_row(8));
  file.truncate_after(8);
  EXPECT_EQ(file.train().size(), 8U);
}

TEST_F(MetricsFileTest, ARepeatedEvaluationReplacesTheLast) {
  MetricsFile file = open();
  file.append(eval_row(5, 3));
  EvalRow row = eval_row(5, 3);
  row.accuracy = 0.75;
  file.append(row);
  EXPECT_TRUE(file.eval() == std::vector<EvalRow>{row});
}

TEST_F(MetricsFileTest, OnlyTheNewestPredictionsAreKept) {
  MetricsFile file = open();
  constexpr std::int64_t evaluations = 5;
  EvalRow row = eval_row(1, 3);
  row.predicted.assign(MetricsFile::most_predicted_bytes / 3, 1);
  for (row.step = 1; row.step <= evaluations; ++row.step) file.append(row);
  for (const EvalRow& kept : file.eval()) EXPECT_EQ(kept.predicted.empty(), kept.step <= 2) << kept.step;
}

TEST_F(MetricsFileTest, TimesOfRanksAreThinnedOut) {
  MetricsFile file = open();
  constexpr std::int64_t lines = MetricsFile::most_rank_times / most_ranks + 1;
  const RankRow row = rank_row_of(0, most_ranks);
  for (std::int64_t line = 1; line <= lines; ++line) file.append(RankRow{10 * line, false, row.ranks});
  ASSERT_EQ(file.ranks().size(), static_cast<std::size_t>(lines / 2));
  for (std::size_t i = 0; i < file.ranks().size(); ++i) {
    EXPECT_EQ(file.ranks()[i].step, 20 * static_cast<std::int64_t>(i + 1));
  }
}

TEST_F(MetricsFileTest, AStepTwiceIsADefect) {
  MetricsFile file = open();
  file.append(train_row(2));
  EXPECT_DEATH(file.append(train_row(2)), "step 2 after step 2");
  EXPECT_DEATH(file.append(eval_row(2, 4)), "16 numbers, 3 classes");
}

TEST_F(MetricsFileTest, ADamagedFileIsSetAsideAndTheRunGoesOn) {
  for (int n = 1; n <= 2; ++n) {
    put(path, "not a metrics file");
    MetricsFile file = open();
    EXPECT_TRUE(file.train().empty());
    file.write();
    EXPECT_EQ(content(path.string() + ".damaged-" + std::to_string(n)), "not a metrics file");
  }
  EXPECT_TRUE(contains(logged.text(), "it is now called metrics.h5.damaged-2"));
}

TEST_F(MetricsFileTest, AFileOfAnotherNumberOfClassesIsSetAside) {
  MetricsFile file = open(3);
  file.append(eval_row(5, 3));
  file.write();
  EXPECT_TRUE(open(4).eval().empty());
  EXPECT_TRUE(contains(logged.text(), "confusion: found int64 1 x 3 x 3, expected int64 1 x 4 x 4"));
}

TEST_F(MetricsFileTest, WhatCannotBeReadOrWrittenIsAnError) {
  std::filesystem::create_directory(path);
  EXPECT_TRUE(contains(message_of<StoreError>([&] { open(); }), "found a directory"));
  std::filesystem::remove(path);
  MetricsFile file = open();
  std::filesystem::remove(directory.path());
  EXPECT_TRUE(contains(message_of<StoreError>([&] { file.write(); }), "No such file or directory"));
}

}  // namespace
}  // namespace fcmnist::store
