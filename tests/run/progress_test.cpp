#include "run/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "run/scored_set.hpp"

namespace fcmnist::run {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

train::StepResult step_of(std::int64_t step, std::size_t samples, double loss, double accuracy,
                          double seconds) {
  train::StepResult result;
  result.step = step;
  result.samples = samples;
  result.loss = loss;
  result.accuracy = accuracy;
  result.time.compute_s = seconds;
  return result;
}

TEST(Progress, WeighsStepsByTheirSamples) {
  Progress progress(100, 200);
  progress.add(step_of(101, 300, 1.0, 0.5, 1.0));
  progress.add(step_of(102, 100, 2.0, 1.0, 1.0));  // the short last batch of an epoch
  EXPECT_DOUBLE_EQ(progress.interval().loss, 1.25);
  EXPECT_DOUBLE_EQ(progress.interval().accuracy, 0.625);
  EXPECT_DOUBLE_EQ(progress.rate(), 200.0);
  EXPECT_DOUBLE_EQ(progress.time_remaining_s(), 98.0)
      << "steps of an earlier process say nothing about speed";
}

TEST(Progress, AnIntervalForgetsTheOneBefore) {
  Progress progress(0, 10);
  progress.add(step_of(1, 100, 4.0, 0.0, 1.0));
  progress.start_interval();
  progress.add(step_of(2, 100, 1.0, 1.0, 4.0));
  EXPECT_DOUBLE_EQ(progress.interval().loss, 1.0);
  EXPECT_DOUBLE_EQ(progress.rate(), 25.0);
  EXPECT_DOUBLE_EQ(progress.global_rate(), 40.0);
  EXPECT_THAT(progress.line(),
              testing::StartsWith("| Train Device=cpu Step=2 Loss=1.00000 Accuracy=1.0000 "));
  EXPECT_THAT(progress.line(),
              testing::HasSubstr("Rate=25 samples/s GlobalRate=40 samples/s TimeRemaining=0:00:20"));
}

TEST(Progress, GoesOnInTheMiddleOfAnInterval) {
  Progress whole(0, 10), first(0, 10);
  for (Progress* progress : {&whole, &first}) progress->add(step_of(1, 300, 1.5, 0.25, 1.0));
  Progress second(1, 10, first.sums());
  for (Progress* progress : {&whole, &second}) progress->add(step_of(2, 100, 0.1, 0.75, 1.0));
  EXPECT_EQ(second.interval().loss, whole.interval().loss);
  EXPECT_EQ(second.interval().accuracy, whole.interval().accuracy);
}

TEST(Progress, SkippedStepsHaveNoPartInTheMean) {
  Progress progress(0, 10);
  progress.add(step_of(1, 100, 2.0, 0.5, 1.0));
  train::StepResult skipped = step_of(2, 100, std::nan(""), 0.0, 1.0);
  skipped.skipped = true;
  progress.add(skipped);
  EXPECT_DOUBLE_EQ(progress.interval().loss, 2.0);
  EXPECT_DOUBLE_EQ(progress.interval().accuracy, 0.5);
  EXPECT_TRUE(progress.interval().skipped);
  progress.start_interval();
  progress.add(step_of(3, 100, 1.0, 0.5, 1.0));
  EXPECT_FALSE(progress.interval().skipped);
}

TEST(Progress, MetricsRowsAreOfTheLastStepOrOfTheInterval) {
  Progress progress(0, 10);
  progress.add(step_of(1, 100, 4.0, 0.0, 8.0));
  progress.start_interval();
  progress.add(step_of(2, 100, 2.0, 0.5, 1.0));
  train::StepResult last = step_of(3, 100, 1.0, 1.0, 3.0);
  last.epoch = 1;
  last.learning_rate = 0.125;
  last.gradient_norm = 7.0;
  last.loss_scale = 64.0;
  last.time = {.data_s = 0.25, .compute_s = 0.75, .exchange_s = 3.0, .files_s = 2.0};
  progress.add(last);
  const store::TrainRow step = {.step = 3,
                                .epoch = 1,
                                .loss = 1.0,
                                .accuracy = 1.0,
                                .learning_rate = 0.125,
                                .grad_norm = 7.0,
                                .samples_per_s = 25.0,
                                .elapsed_s = 115.0,
                                .compute_s = 0.75,
                                .exchange_s = 3.0,
                                .data_s = 0.25,
                                .files_s = 2.0,
                                .skipped = 0,
                                .loss_scale = 64.0};
  EXPECT_EQ(progress.step_row(100.0), step);
  store::TrainRow interval = step;
  interval.loss = 1.5;
  interval.accuracy = 0.75;
  interval.samples_per_s = 40.0;
  interval.compute_s = 0.875;
  interval.exchange_s = 1.5;
  interval.data_s = 0.125;
  interval.files_s = 1.0;
  EXPECT_EQ(progress.interval_row(100.0), interval);
}

TEST(Progress, PipelineTimesAreMeansOverTheInterval) {
  Progress progress(0, 10);
  train::StepResult step = step_of(1, 100, 1.0, 1.0, 1.0);
  EXPECT_EQ(progress.total_pipeline().bubble_fraction(), 0.0);
  step.pipeline = {{0.5, 0.25}, 0.5};
  progress.add(step);
  EXPECT_EQ(progress.step_row(0.0).bubble_fraction, 0.25);
  step.pipeline = {{1.5, 0.25}, 1.5};
  progress.add(step);
  const store::TrainRow row = progress.interval_row(0.0);
  EXPECT_EQ(row.stage_busy_s, (std::vector<double>{1.0, 0.25}));
  EXPECT_EQ(row.bubble_fraction, 0.375);
  EXPECT_EQ(progress.step_row(0.0).stage_busy_s.front(), 1.5);
}

TEST(Format, TimeSplit) {
  EXPECT_EQ(format_time_split({0.05, 0.8, 0.1, 0.05}),
            "compute 80.0 % | exchange 10.0 % | data 5.0 % | files 5.0 %");
}

TEST(PeakMemory, IsOfThisProcess) {
  EXPECT_GT(peak_memory_bytes(), std::size_t{1} << 20);
  EXPECT_LT(peak_memory_bytes(), std::size_t{1} << 40);
}

class RunSummary : public testing::Test {
 protected:
  RunSummary() : progress_(300, 400) {
    train::StepResult step;
    step.step = 400;
    step.samples = 6000;
    step.time = {.data_s = 0.5, .compute_s = 1.5, .exchange_s = 1.0, .files_s = 0.0};
    progress_.add(step);
    progress_.add_files(57.0);
  }
  std::vector<std::string> lines() const { return done_lines(run_, progress_); }

  Progress progress_;
  config::RunConfig config_ = config_of_run();
  DoneRun run_{.config = config_, .total_steps = 400, .elapsed_before_s = 600.0, .peak_bytes = 123.4e6};
  store::ModelDir model_dir_{"runs/a"};

 private:
  static config::RunConfig config_of_run() {
    config::RunConfig config;
    config.run.model_dir = "runs/a";
    config.eval_input.split = data::Split::test;
    return config;
  }
};

TEST_F(RunSummary, RatesLeaveFilesOutAndTimesDoNot) {
  store::EvalRow evaluation;
  evaluation.accuracy = 0.9817;
  evaluation.loss = 0.0625;
  run_.last_evaluation = &evaluation;
  EXPECT_THAT(
      lines(),
      ElementsAre(
          "done: 100 steps in 0:01:00 of training, 2000 samples/s (400 steps in 0:11:00 with "
          "earlier starts)",
          "time of rank 0: compute 2.5 % | exchange 1.7 % | data 0.8 % | files 95.0 %",
          "peak memory of a rank: 123 MB, data shared by its node included",
          "test accuracy 0.9817 (error 1.83 %), loss 0.06250",
          "files: runs/a/checkpoint_400.h5 runs/a/metrics.h5 runs/a/predictions.h5 runs/a/params.yaml"));
}

TEST_F(RunSummary, OfARunThatWasNeverInterruptedIsOfOneStart) {
  progress_ = Progress(0, 400);
  progress_.add(step_of(400, 120'000, 1.0, 0.5, 60.0));
  EXPECT_EQ(lines().front(), "done: 400 steps in 0:01:00 of training, 2000 samples/s");
}

TEST_F(RunSummary, ClaimsNoTimeForStepsWhoseTimeIsUnknown) {
  run_.elapsed_before_s.reset();
  EXPECT_EQ(
      lines().front(),
      "done: 100 steps in 0:01:00 of training, 2000 samples/s (400 steps with those before this start)");
}

TEST_F(RunSummary, SaysWhatWasScored) {
  store::EvalRow evaluation;
  evaluation.accuracy = 0.5;
  evaluation.loss = 1.0;
  run_.last_evaluation = &evaluation;
  config_.eval_input.split = data::Split::train;
  EXPECT_THAT(lines(), testing::Contains("accuracy on the train split 0.5000 (error 50.00 %), loss 1.00000"));
  train::EvaluationResult result;
  result.samples = 3;
  result.loss = 1.0;
  result.accuracy = 0.5;
  EXPECT_EQ(eval_line(7, result, scored_marks(config_)),
            "| Eval Device=cpu Step=7 Loss=1.00000 Accuracy=0.5000 Samples=3 Split=train");
  config_.eval_input.split = data::Split::test;
  config_.eval_input.average_shifts = 1;
  EXPECT_THAT(lines(), testing::Contains(
                           "test accuracy, averaged over 9 shifts, 0.5000 (error 50.00 %), loss 1.00000"));
}

TEST_F(RunSummary, SaysHowBusyTheStagesWere) {
  train::StepResult step;
  step.pipeline = {{0.5, 0.25, 0.75}, 1.0};
  progress_.add(step);
  progress_.add(step);
  EXPECT_THAT(lines(),
              testing::Contains("pipeline: stage 0 busy 50.0 % | stage 1 busy 25.0 % | stage 2 busy 75.0 % | "
                                "bubble 50.0 %"));
}

TEST_F(RunSummary, SaysHowManyGradientsWereComputedAgain) {
  train::StepResult step;
  step.recomputed = 2;
  progress_.add(step);
  progress_.add(step);
  EXPECT_THAT(lines(), testing::Contains(HasSubstr("reproducible: 4 gradients were computed again")));
}

TEST_F(RunSummary, WithoutEvaluationsThereIsNoAccuracy) {
  EXPECT_THAT(lines(), testing::Not(testing::Contains(HasSubstr("accuracy"))));
}

TEST_F(RunSummary, AFinishedRunSaysHowToGoOn) {
  EXPECT_THAT(
      finished_line(400, 400, model_dir_, false),
      testing::AllOf(testing::StartsWith("the run in runs/a is finished: 400 of 400 steps are done; "),
                     HasSubstr("--max_steps"), HasSubstr("--restart")));
  EXPECT_THAT(finished_line(300, 300, model_dir_, true),
              HasSubstr("a larger runconfig.early_stopping goes on"));
}

TEST_F(RunSummary, NamesTheBestValidation) {
  std::vector<store::EvalRow> validations(3);
  for (std::size_t i = 0; i < validations.size(); ++i) {
    validations[i].step = static_cast<std::int64_t>(100 * i);
    validations[i].accuracy = i == 1 ? 0.99 : 0.98;
  }
  run_.validations = validations;
  EXPECT_THAT(lines(),
              testing::Contains("validation accuracy 0.9800 (error 2.00 %); the best was 0.9900 at step 100"))
      << "without the name of a file that is not there";
}

}  // namespace
}  // namespace fcmnist::run
