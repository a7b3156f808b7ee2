#include "train/run_summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fcmnist::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RunSummary : public testing::Test {
 protected:
  RunSummary() : progress_(300, 400) {
    StepResult step;
    step.step = 400;
    step.samples = 6000;
    step.time = {.data_s = 0.5, .compute_s = 1.5, .exchange_s = 1.0, .files_s = 0.0};
    progress_.add(step);
    progress_.add_files(57.0);
  }
  Progress progress_;
  store::ModelDir model_dir_{"runs/a"};
};

TEST_F(RunSummary, RatesLeaveFilesOutAndTimesDoNot) {
  store::EvalRow evaluation;
  evaluation.accuracy = 0.9817;
  evaluation.loss = 0.0625;
  EXPECT_THAT(done_lines(400, progress_, 123.4e6, &evaluation, model_dir_),
              ElementsAre("done: 400 steps in 0:01:00 of training, 2000 samples/s",
                          "time of rank 0: compute 2.5 % | exchange 1.7 % | data 0.8 % | files 95.0 %",
                          "peak memory of a rank: 123 MB, data shared by its node included",
                          "test accuracy 0.9817 (error 1.83 %), loss 0.06250",
                          "files: runs/a/checkpoint_400.h5 runs/a/metrics.h5 runs/a/params.yaml"));
}

TEST_F(RunSummary, SaysHowManyGradientsWereComputedAgain) {
  StepResult step;
  step.recomputed = 2;
  progress_.add(step);
  progress_.add(step);
  EXPECT_THAT(done_lines(400, progress_, 1e6, nullptr, model_dir_),
              testing::Contains(HasSubstr("reproducible: 4 gradients were computed again")));
}

TEST_F(RunSummary, WithoutEvaluationsThereIsNoAccuracy) {
  EXPECT_THAT(done_lines(400, progress_, 1e6, nullptr, model_dir_),
              testing::Not(testing::Contains(HasSubstr("accuracy"))));
}

TEST_F(RunSummary, AFinishedRunSaysHowToGoOn) {
  EXPECT_THAT(
      finished_line(400, 400, model_dir_),
      testing::AllOf(testing::StartsWith("the run in runs/a is finished: 400 of 400 steps are done; "),
                     HasSubstr("--max_steps"), HasSubstr("--restart")));
}

}  // namespace
}  // namespace fcmnist::train
