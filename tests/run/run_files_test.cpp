#include "run/run_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>

#include <cstdlib>
#include <fstream>

#include "core/arena.hpp"
#include "store/support.hpp"
#include "support/log_text.hpp"

namespace fcmnist::run {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::size_t classes = 2;

store::TrainRow row_of_step(std::int64_t step, double elapsed_s = 0.0) {
  store::TrainRow row;
  row.step = step;
  row.elapsed_s = elapsed_s;
  return row;
}

/// The files of a run, and what it says about them.
class RunFilesTest : public testing::Test {
 protected:
  RunFilesTest() { dir_.ensure_writable(); }
  ~RunFilesTest() override { files_.reset(); }

  /// Opens the files of a run that stands at `step`.
  RunFiles& open(std::int64_t step = 0, bool restart = false) {
    RunFiles::Run run;
    run.model_dir = dir_.path();
    run.subject = classes;
    run.checkpoint.keep_checkpoints = 2;
    run.config_yaml = "settings: of this run\n";
    run.restart = restart;
    files_.reset();
    if (!lock_) lock_.emplace(dir_, log_.log());
    return files_.emplace(std::move(run), step, *lock_, log_.log());
  }

  void hold(std::int64_t step) {
    store::TrainState position;
    position.step = step;
    files_->hold_checkpoint(position, {{}, weights_.view(), {}});
  }
  /// Waits until the file that is being written is done.
  void conclude() {
    while (!files_->file_is_done()) std::this_thread::yield();
    files_->conclude_file();
  }
  void save(std::int64_t step) {
    hold(step);
    files_->release_checkpoint();
    conclude();
  }

  TemporaryDirectory directory_;
  store::ModelDir dir_{directory_ / "run"};
  test::LogText log_;
  Layout layout_ = store::mlp_layout({3, 2});
  Arena<float> weights_{layout_};
  std::optional<store::ModelDirLock> lock_;
  std::optional<RunFiles> files_;
};

TEST_F(RunFilesTest, SettingsAreThereFromTheBeginning) {
  open();
  EXPECT_EQ(store::content(dir_.params_file()), "settings: of this run\n");
}

TEST_F(RunFilesTest, TheFirstMetricsTakeAwayThatTheRunWasStopped) {
  open().write_stopped("stopped after step 3 of 9: SIGUSR1 arrived");
  EXPECT_THAT(store::content(dir_.stopped_file()),
              HasSubstr("stopped after step 3 of 9: SIGUSR1 arrived, at "));
  files_->write_first_metrics();
  EXPECT_FALSE(std::filesystem::exists(dir_.stopped_file()));
  EXPECT_TRUE(std::filesystem::exists(dir_.metrics_file()));
}

TEST_F(RunFilesTest, ACheckpointIsNotWrittenBeforeItsWeightsHaveProvedGood) {
  open();
  hold(4);
  EXPECT_FALSE(files_->file_is_done());
  EXPECT_THAT(dir_.checkpoint_steps(), IsEmpty());
  files_->release_checkpoint();
  conclude();
  EXPECT_THAT(dir_.checkpoint_steps(), ElementsAre(4));
  EXPECT_THAT(log_.text(), HasSubstr("info: saved " + dir_.checkpoint_file(4).string()));
  EXPECT_EQ(store::Checkpoint::read(dir_.checkpoint_file(4)).header().state.step, 4);
}

TEST_F(RunFilesTest, ACheckpointThatWasNotReleasedGivesWayToTheNext) {
  open();
  hold(4);
  save(5);
  EXPECT_THAT(dir_.checkpoint_steps(), ElementsAre(5));
}

TEST_F(RunFilesTest, AReleasedCheckpointIsNeverLostToTheNext) {
  open();
  for (const std::int64_t step : {1, 2, 3}) {
    hold(step);
    files_->release_checkpoint();
  }
  files_->write_held_checkpoint();
  files_->finish_metrics();
  for (const std::int64_t step : {1, 2, 3}) {
    EXPECT_THAT(log_.text(), HasSubstr("saved " + dir_.checkpoint_file(step).string()));
  }
}

TEST_F(RunFilesTest, ADroppedCheckpointIsNotWritten) {
  open();
  hold(4);
  files_->drop_checkpoint();
  files_->release_checkpoint();
  files_->write_held_checkpoint();
  files_->finish_metrics();
  EXPECT_THAT(dir_.checkpoint_steps(), IsEmpty());
}

TEST_F(RunFilesTest, TheEndOfARunWritesWhatIsHeld) {
  open();
  hold(9);
  files_->write_held_checkpoint();
  EXPECT_THAT(dir_.checkpoint_steps(), ElementsAre(9));
}

TEST_F(RunFilesTest, ARunThatDivergesKeepsNoWeightsThatWereNotReleased) {
  open();
  save(4);
  hold(5);
  files_->abandon_run();
  EXPECT_THAT(dir_.checkpoint_steps(), ElementsAre(4));
  EXPECT_THAT(log_.text(), HasSubstr("no checkpoint of step 5: the step after it was not finite"));
  EXPECT_TRUE(std::filesystem::exists(dir_.metrics_file()));
}

TEST_F(RunFilesTest, ARunThatDivergesKeepsWeightsThatWereReleased) {
  open();
  hold(4);
  files_->release_checkpoint();
  hold(5);
  files_->release_checkpoint();
  files_->abandon_run();
  EXPECT_THAT(dir_.checkpoint_steps(), ElementsAre(4, 5));
}

TEST_F(RunFilesTest, TheNewestCheckpointsAndTheOneWithTheBestValidationAreKept) {
  open();
  for (const std::int64_t step : {1, 2, 3, 4, 5}) {
    store::EvalRow row = store::eval_row(step, classes);
    row.accuracy = step == 2 ? 0.9 : 0.5;
    files_->metrics().append(store::ValidationRow{row});
    save(step);
    EXPECT_EQ(std::filesystem::read_symlink(dir_.best_checkpoint_file()),
              step == 1 ? "checkpoint_1.h5" : "checkpoint_2.h5");
  }
  EXPECT_THAT(dir_.checkpoint_steps(), ElementsAre(2, 4, 5));
  EXPECT_EQ(store::Checkpoint::read(dir_.best_checkpoint_file()).header().state.step, 2);
}

TEST_F(RunFilesTest, TheBestHasItsNameAtTheEndWhateverHappenedToTheLink) {
  open();
  files_->write_first_metrics();
  files_->metrics().append(store::ValidationRow{store::eval_row(1, classes)});
  save(1);
  std::filesystem::remove(dir_.best_checkpoint_file());
  std::filesystem::create_symlink("checkpoint_9.h5", dir_.best_checkpoint_file());
  files_->finish_metrics();
  EXPECT_EQ(dir_.best_checkpoint(), 1);
  std::filesystem::remove(dir_.best_checkpoint_file());
  open(1);  // as after a process that died before it named it
  EXPECT_EQ(dir_.best_checkpoint(), 1);
}

TEST_F(RunFilesTest, WhereTheBestCannotBeNamedOldCheckpointsStillGo) {
  open();
  std::filesystem::create_directories(dir_.best_checkpoint_file() / "in_the_way");
  for (const std::int64_t step : {1, 2, 3, 4}) {
    files_->metrics().append(store::ValidationRow{store::eval_row(step, classes)});
    save(step);
  }
  EXPECT_EQ(dir_.checkpoint_steps().size(), 2U);
  EXPECT_THAT(log_.text(), HasSubstr("is the best one, but no name says so"));
}

TEST_F(RunFilesTest, TheTestSetChoosesNothing) {
  open();
  for (const std::int64_t step : {1, 2, 3}) {
    store::EvalRow row = store::eval_row(step, classes);
    row.accuracy = step == 1 ? 0.9 : 0.5;
    files_->metrics().append(row);
    save(step);
  }
  EXPECT_THAT(dir_.checkpoint_steps(), ElementsAre(2, 3));
  EXPECT_FALSE(std::filesystem::exists(dir_.best_checkpoint_file()));
}

TEST_F(RunFilesTest, ACheckpointKnowsTheEvaluationOfItsOwnStepOnly) {
  open();
  files_->metrics().append(store::eval_row(4, classes));
  save(4);
  save(5);
  const auto evaluation_in = [&](std::int64_t step) {
    return store::Checkpoint::read(dir_.checkpoint_file(step)).header().evaluation;
  };
  ASSERT_TRUE(evaluation_in(4));
  EXPECT_EQ(evaluation_in(4)->loss, 0.5);
  EXPECT_FALSE(evaluation_in(5));
}

TEST_F(RunFilesTest, ACheckpointThatCannotBeWrittenIsAWarningUntilTooManyFailInARow) {
  open();
  for (std::int64_t step = 1; step <= RunFiles::failures_allowed; ++step) {
    EXPECT_FALSE(files_->failure());
    std::filesystem::create_directories(dir_.checkpoint_file(step) / "in_the_way");
    save(step);
    const bool is_last = step == RunFiles::failures_allowed;
    EXPECT_EQ(files_->failure().has_value(), is_last);
    const auto warning = HasSubstr("no checkpoint of step " + std::to_string(step));
    if (is_last) {
      EXPECT_THAT(log_.text(), Not(warning)) << "it is an error, which the run throws";
    } else {
      EXPECT_THAT(log_.text(), warning);
    }
  }
}

TEST_F(RunFilesTest, ACheckpointThatSucceedsForgetsTheFailures) {
  open();
  for (std::int64_t step = 1; step <= 2 * RunFiles::failures_allowed; ++step) {
    if (step % 2 == 1) std::filesystem::create_directories(dir_.checkpoint_file(step) / "in_the_way");
    save(step);
  }
  EXPECT_FALSE(files_->failure());
}

/// From here on this process gets hardly any more memory, and no thread, for which there would have to be a stack.
void allow_no_more_memory() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages;
  // Larger stacks than those that earlier threads have left.
  pthread_attr_t attributes;
  if (pthread_getattr_default_np(&attributes) != 0) std::_Exit(99);
  pthread_attr_setstacksize(&attributes, std::size_t{1} << 30);
  pthread_setattr_default_np(&attributes);
  const rlimit limit = {pages * 4096 + 2'000'000, RLIM_INFINITY};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(99);
}

TEST_F(RunFilesTest, ThatThereIsNoThreadOrNoMemoryIsAFailureOfTheCheckpoint) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the address sanitizer needs all of the address space";
#endif
  const auto no_thread = [&] {
    open();
    hold(4);
    allow_no_more_memory();
    files_->release_checkpoint();
    std::fputs(log_.text().c_str(), stderr);
    std::_Exit(files_->failure() ? 1 : 0);
  };
  EXPECT_EXIT(no_thread(), testing::ExitedWithCode(0), "no checkpoint of step 4: cannot write a file: ");
  const auto no_memory = [&] {
    const Layout large = store::mlp_layout({3000, 3000});
    const Arena<float> weights(large);
    open();
    allow_no_more_memory();
    files_->hold_checkpoint({}, {{}, weights.view(), {}});
    std::fputs(log_.text().c_str(), stderr);
    try {
      files_->write_held_checkpoint();
    } catch (const StoreError&) {  // at the end of a run it is an error
      std::_Exit(4);
    }
    std::_Exit(1);
  };
  EXPECT_EXIT(no_memory(), testing::ExitedWithCode(4), "no checkpoint of step 0: ");
}

TEST_F(RunFilesTest, ARunThatGoesOnForgetsMetricsOfLaterStepsAndCountsOnItsTime) {
  open();
  for (const int step : {1, 2, 3}) files_->metrics().append(row_of_step(step, 10.0 * step));
  files_->finish_metrics();
  open(2);
  EXPECT_EQ(files_->metrics().train().size(), 2U);
  EXPECT_EQ(files_->elapsed_before_s(), 20.0);
}

TEST_F(RunFilesTest, TheTimeOfAllStepsIsKnownIfTheRowsHaveAllOfThem) {
  const auto known_after = [&](std::vector<store::TrainRow> rows, std::int64_t step) {
    open(0, true);
    for (const store::TrainRow& row : rows) files_->metrics().append(row);
    files_->finish_metrics();
    return open(step).elapsed_of_all_before_s();
  };
  const auto row = [](std::int64_t step, double elapsed_s, double step_s) {
    store::TrainRow timed = row_of_step(step, elapsed_s);
    timed.compute_s = 0.75 * step_s;
    timed.files_s = 0.25 * step_s;
    return timed;
  };
  EXPECT_EQ(known_after({row(1, 0.3, 0.3), row(2, 0.7, 0.4)}, 2), 0.7);
  EXPECT_EQ(known_after({row(50, 15.0, 0.3), row(100, 35.0, 0.4)}, 100), 35.0) << "rows of logged steps";
  EXPECT_EQ(known_after({row(50, 15.0, 0.3)}, 75), std::nullopt) << "no row has the last 25 steps";
  EXPECT_EQ(known_after({row(21, 0.3, 0.3), row(22, 0.7, 0.4)}, 22), std::nullopt) << "it began at step 20";
  EXPECT_EQ(known_after({row(100, 15.0, 0.3)}, 100), std::nullopt) << "it began at step 50";
  EXPECT_EQ(known_after({}, 20), std::nullopt);
}

TEST_F(RunFilesTest, ARestartMovesTheOldRunAside) {
  open();
  files_->metrics().append(row_of_step(1));
  save(1);
  files_->finish_metrics();
  open(0, true);
  EXPECT_THAT(dir_.checkpoint_steps(), IsEmpty());
  EXPECT_THAT(files_->metrics().train(), IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(dir_.path() / "previous_1" / "checkpoint_1.h5"));
  EXPECT_THAT(log_.text(), HasSubstr("--restart: the files of the old run are now in"));
}

TEST_F(RunFilesTest, CheckpointsThatTheResumeHasPassedOverAreSetAside) {
  open();
  save(1);
  save(2);
  open(1);
  EXPECT_THAT(dir_.checkpoint_steps(), ElementsAre(1));
  EXPECT_THAT(log_.text(), HasSubstr("checkpoint_2.h5.damaged-1"));
}

TEST_F(RunFilesTest, WhatADeadRunHasLeftInTheJournalIsMerged) {
  open();
  files_->metrics().append(row_of_step(1));
  files_->keep_metrics();
  EXPECT_TRUE(std::filesystem::exists(dir_.journal_file()));
  open(1);
  EXPECT_EQ(files_->metrics().train().size(), 1U);
  files_->merge_journal();
  EXPECT_FALSE(std::filesystem::exists(dir_.journal_file()));
}

}  // namespace
}  // namespace fcmnist::run
