#include "store/model_dir.hpp"

#include <sys/stat.h>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

using Steps = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

TEST(CheckpointsToDelete, KeepsTheNewestAndTheBest) {
  const Steps steps = {0, 100, 200, 300, 400};
  EXPECT_EQ(checkpoints_to_delete(steps, 2, std::nullopt), (Steps{0, 100, 200}));
  EXPECT_EQ(checkpoints_to_delete(steps, 2, 100), (Steps{0, 200}));
  EXPECT_EQ(checkpoints_to_delete(steps, 2, 400), (Steps{0, 100, 200}));  // the best is among the newest
  EXPECT_EQ(checkpoints_to_delete(steps, 2, 777), (Steps{0, 100, 200}));  // the best is not there any more
  EXPECT_EQ(checkpoints_to_delete({400, 0, 300}, 2, std::nullopt), (Steps{0}));  // order does not matter
}

TEST(CheckpointsToDelete, FewerThanTwoAreNeverKept) {
  for (const int keep : {1, 0, -1}) {
    EXPECT_DEATH(static_cast<void>(checkpoints_to_delete({1, 2, 3}, keep, std::nullopt)), "keep >= 2");
  }
}

TEST(CheckpointsToDelete, NeverLeavesFewerThanAsked) {
  for (int count = 0; count <= 5; ++count) {
    Steps steps;
    for (int i = 0; i < count; ++i) steps.push_back(i);
    for (int keep = 2; keep <= 4; ++keep) {
      const std::size_t left = steps.size() - checkpoints_to_delete(steps, keep, 0).size();
      EXPECT_GE(left, std::min<std::size_t>(keep, steps.size()));
      EXPECT_LE(left, static_cast<std::size_t>(keep) + 1);
    }
  }
}

struct ModelDirTest : testing::Test {
  TemporaryDirectory directory;
  ModelDir model_dir{directory.path()};
  std::shared_ptr<Logger> log = make_logger("error", true);

  void put_all(const Names& names) const {
    for (const std::string& name : names) put(directory / name, name);
  }
};

TEST_F(ModelDirTest, DamagedCheckpointsGoOutOfTheWay) {
  put_all({"checkpoint_5.h5", "checkpoint_100.h5", "checkpoint_200.h5", "checkpoint_200.h5.damaged-1"});
  model_dir.set_damaged_aside(5, *log);
  EXPECT_EQ(model_dir.checkpoint_steps(), (Steps{5}));
  EXPECT_EQ(content(directory / "checkpoint_100.h5.damaged-1"), "checkpoint_100.h5");
  EXPECT_EQ(content(directory / "checkpoint_200.h5.damaged-2"), "checkpoint_200.h5");
  EXPECT_EQ(content(directory / "checkpoint_200.h5.damaged-1"), "checkpoint_200.h5.damaged-1");
}

TEST_F(ModelDirTest, TheNewestEvaluationHasTheLargestNumber) {
  EXPECT_EQ(model_dir.evaluation_file(model_dir.next_evaluation()), directory / "evaluation.h5");
  put_all({"evaluation.h5"});
  EXPECT_EQ(model_dir.evaluation_file(model_dir.next_evaluation()), directory / "evaluation_1.h5");
  put_all(
      {"evaluation_10.h5", "evaluation_9.h5", "evaluation_77.txt", "evaluation_078.h5", "evaluation_.h5"});
  put_all({"evaluation_12_predictions.h5", "evaluation_13_predictions_of_mine.h5"});
  EXPECT_EQ(model_dir.next_evaluation(), 13) << "numbers that were deleted are not given again";
  EXPECT_EQ(ModelDir(directory / "absent").next_evaluation(), 0);
}

TEST_F(ModelDirTest, KnowsItsCheckpoints) {
  put_all({"checkpoint_5.h5", "checkpoint_100.h5", "checkpoint_0.h5"});
  put_all({"checkpoint_.h5", "checkpoint_07.h5", "checkpoint_-1.h5", "checkpoint_8.h5.bak",
           "checkpoint_9x.h5", "checkpoint_best.h5", "checkpoint_99999999999999999999.h5",
           ".checkpoint_6.h5.tmp.host.1", "checkpoint_h5"});
  EXPECT_EQ(model_dir.checkpoint_steps(), (Steps{0, 5, 100}));
  EXPECT_EQ(content(model_dir.checkpoint_file(100)), "checkpoint_100.h5");
  EXPECT_TRUE(ModelDir(directory / "absent").checkpoint_steps().empty());
}

TEST_F(ModelDirTest, PrunesOnlyCheckpoints) {
  put_all({"checkpoint_1.h5", "checkpoint_2.h5", "checkpoint_3.h5", "checkpoint_4.h5", "metrics.h5",
           "notes.txt"});
  EXPECT_EQ(model_dir.prune(2, 1, *log), Steps{2});
  EXPECT_EQ(names_in(directory.path()),
            (Names{"checkpoint_1.h5", "checkpoint_3.h5", "checkpoint_4.h5", "metrics.h5", "notes.txt"}));
}

TEST_F(ModelDirTest, NamesTheBestCheckpoint) {
  EXPECT_EQ(model_dir.best_checkpoint(), std::nullopt);
  put_all({"checkpoint_1.h5", "checkpoint_2.h5"});
  model_dir.name_best(1);
  EXPECT_EQ(model_dir.best_checkpoint(), 1);
  // Left by a process that died, on this host and with this number.
  std::filesystem::create_symlink("checkpoint_1.h5", temporary_name(model_dir.best_checkpoint_file()));
  model_dir.name_best(2);
  EXPECT_EQ(model_dir.best_checkpoint(), 2);
  EXPECT_EQ(content(model_dir.best_checkpoint_file()), "checkpoint_2.h5");
  EXPECT_EQ(names_in(directory.path()), (Names{"checkpoint_1.h5", "checkpoint_2.h5", "checkpoint_best.h5"}));
}

TEST_F(ModelDirTest, MovesARunAsideAndNothingElse) {
  EXPECT_EQ(model_dir.move_aside(), std::nullopt);
  const Names run = {"STOPPED",
                     "checkpoint_1.h5",
                     "checkpoint_2.h5",
                     "checkpoint_best.h5",
                     "evaluation.h5",
                     "evaluation_12.h5",
                     "evaluation_12_predictions.h5",
                     "evaluation_predictions.h5",
                     "metrics.h5",
                     "metrics.h5.damaged-1",
                     "metrics.journal",
                     "metrics.journal.damaged-1",
                     "params.yaml",
                     "predictions.h5"};
  put_all(run);
  put_all({"LOCK", "evaluation_of_mine.h5", "my_predictions.h5"});
  EXPECT_EQ(model_dir.move_aside(), directory / "previous_1");
  EXPECT_EQ(names_in(directory / "previous_1"), run);
  EXPECT_EQ(names_in(directory.path()),
            (Names{"LOCK", "evaluation_of_mine.h5", "my_predictions.h5", "previous_1"}));

  put_all({"params.yaml"});
  EXPECT_EQ(model_dir.move_aside(), directory / "previous_2");
  EXPECT_EQ(names_in(directory / "previous_1"), run);
}

TEST_F(ModelDirTest, IsCreatedAndProvedWritable) {
  const ModelDir deep(directory / "a/b/c");
  deep.ensure_writable();
  deep.ensure_writable();
  EXPECT_TRUE(names_in(directory / "a/b/c").empty());
}

TEST_F(ModelDirTest, AFileInTheWayIsAnError) {
  put(directory / "file", "mine");
  EXPECT_TRUE(contains(message_of<StoreError>([&] { ModelDir(directory / "file").ensure_writable(); }),
                       "found a file, expected a directory\n  HINT"));
  EXPECT_TRUE(contains(message_of<StoreError>([&] { ModelDir(directory / "file/below").ensure_writable(); }),
                       "Not a directory\n  HINT"));
  EXPECT_EQ(content(directory / "file"), "mine");
}

TEST_F(ModelDirTest, NoPermissionIsAnError) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  ASSERT_EQ(::chmod(directory.path().c_str(), 0500), 0);
  EXPECT_TRUE(contains(message_of<StoreError>([&] { model_dir.ensure_writable(); }), "Permission denied"));
  ASSERT_EQ(::chmod(directory.path().c_str(), 0700), 0);
}

}  // namespace
}  // namespace fcmnist::store
