#include "train/evaluator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "data/shifted_images.hpp"
#include "optim/update.hpp"
#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"
#include "train/model_state.hpp"

namespace fcmnist::train {
namespace {

using test::small_config;
using test::SmallProblem;
using test::world;

EvaluationResult evaluate(const comm::Communicator& group, const config::RunConfig& config,
                          const data::Dataset& dataset, int stages = 1) {
  const comm::Topology topology(group);
  const comm::Grid grid(topology, stages);
  const model::Mlp mlp = test::stage_of(config, grid);
  ModelState state(grid, mlp, optim::state_arrays(config.optimizer));
  state.initialize(3);
  Evaluator evaluator(config, grid, dataset,
                      Evaluator::of_eval_input(config, grid.replicas(), dataset.samples()), mlp, state, true);
  const EvaluationResult first = evaluator.evaluate();
  const EvaluationResult second = evaluator.evaluate(true);
  EXPECT_EQ(second.confusion, first.confusion);
  EXPECT_EQ(second.loss, first.loss);
  EXPECT_EQ(second.predicted, first.predicted);
  EXPECT_TRUE(first.logits.empty());
  return second;
}

EvaluationResult evaluate(const comm::Communicator& group, const config::RunConfig& config,
                          std::size_t samples, int stages = 1) {
  const SmallProblem problem(samples);
  return evaluate(group, config, problem.view(), stages);
}

TEST(Evaluator, ScoresEverySampleOnceOnAnyWorld) {
  for (const std::size_t samples : {1U, 3U, 101U}) {  // fewer than ranks, and never a multiple of the batch
    for (const int batch : {1, 8, 500}) {
      config::RunConfig config = small_config();
      config.eval_input.batch_size = batch;
      const EvaluationResult result = evaluate(world(), config, samples);
      EXPECT_EQ(result.samples, samples);
      EXPECT_EQ(std::accumulate(result.confusion.begin(), result.confusion.end(), std::int64_t{0}),
                static_cast<std::int64_t>(samples));
      const comm::Communicator alone = world().split(world().rank());
      const EvaluationResult serial = evaluate(alone, config, samples);
      EXPECT_EQ(result.confusion, serial.confusion);
      EXPECT_EQ(result.accuracy, serial.accuracy);
      EXPECT_NEAR(result.loss, serial.loss, 1e-6);
    }
  }
}

TEST(Evaluator, ScoresTheSamplesThatItWasTold) {
  const config::RunConfig config = small_config();
  const SmallProblem problem(101);
  const data::Dataset dataset = problem.view();
  const EvaluationResult all = evaluate(world(), config, 101);
  const comm::Topology topology(world());
  const comm::Grid grid(topology, 1);
  const model::Mlp mlp = test::stage_of(config, grid);
  ModelState state(grid, mlp, {});
  state.initialize(3);
  const std::vector<std::uint32_t> ids = {3, 4, 50, 99, 100};
  Evaluator evaluator(config, grid, dataset, {ids}, mlp, state, true);
  const EvaluationResult some = evaluator.evaluate();
  EXPECT_EQ(some.samples, ids.size());
  std::vector<std::uint8_t> expected;
  for (const std::uint32_t id : ids) expected.push_back(all.predicted[id]);
  EXPECT_EQ(some.predicted, expected);
}

/// Every number of a sample is where its sample is, and the class with the largest logit is the predicted one.
TEST(Evaluator, KnowsTheAnswerToEachSampleOnAnyWorld) {
  const comm::Communicator alone = world().split(world().rank());
  for (const std::size_t samples :
       {1U, 3U, 101U, 7001U}) {  // of the last, the logits travel in several pieces
    config::RunConfig config = small_config();
    config.eval_input.batch_size = 64;
    const SmallProblem problem(samples);
    const EvaluationResult serial = evaluate(alone, config, samples);
    ASSERT_EQ(serial.logits.size(), samples * 10);
    std::vector<std::int64_t> confusion(100);
    for (std::size_t i = 0; i < samples; ++i) {
      const auto logits = std::span(serial.logits).subspan(i * 10, 10);
      EXPECT_EQ(std::ranges::max_element(logits) - logits.begin(), serial.predicted[i]);
      ++confusion[problem.view().labels[i] * 10U + serial.predicted[i]];
    }
    EXPECT_EQ(confusion, serial.confusion);
    for (const int stages : test::stage_counts(world().size(), config)) {
      const EvaluationResult result = evaluate(world(), config, samples, stages);
      EXPECT_EQ(result.predicted, serial.predicted) << stages << " stages";
      EXPECT_EQ(result.logits.size(), world().rank() == 0 ? samples * 10 : 0);
      for (std::size_t i = 0; i < result.logits.size(); ++i) {
        ASSERT_NEAR(result.logits[i], serial.logits[i], 1e-5) << i;
      }
    }
  }
}

/// The mean over the evaluations of all shifted sets, each by itself.
TEST(Evaluator, AveragesProbabilitiesOverShiftsOnAnyWorld) {
  constexpr std::size_t samples = 101, classes = 10;
  const comm::Communicator alone = world().split(world().rank());
  config::RunConfig config = small_config();
  config.eval_input.batch_size = 64;
  const SmallProblem problem(samples);
  std::vector<std::uint32_t> ids(samples);
  std::iota(ids.begin(), ids.end(), 0U);
  const data::Dataset images = problem.view();
  for (const int pixels : {1, 2}) {
    std::vector<double> mean(samples * classes);
    const auto shifts = data::shifts_up_to(pixels);
    for (const data::Shift shift : shifts) {
      data::ShiftedImages shifted(images, samples);
      const EvaluationResult one = evaluate(alone, config, *shifted.shift(ids, shift).dataset);
      for (std::size_t s = 0; s < samples; ++s) {
        const auto logits = std::span(one.logits).subspan(s * classes, classes);
        double sum = 0.0;
        for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
        for (std::size_t c = 0; c < classes; ++c)
          mean[s * classes + c] +=
              std::exp(static_cast<double>(logits[c])) / sum / static_cast<double>(shifts.size());
      }
    }
    double loss = 0.0;
    for (std::size_t s = 0; s < samples; ++s)
      loss -= std::log(mean[s * classes + problem.view().labels[s]]) / static_cast<double>(samples);

    config.eval_input.average_shifts = pixels;
    for (const int stages : test::stage_counts(world().size(), config)) {
      const EvaluationResult result = evaluate(world(), config, samples, stages);
      EXPECT_NEAR(result.loss, loss, 1e-5) << stages << " stages";
      std::size_t correct = 0;
      for (std::size_t s = 0; s < samples; ++s) {
        const auto probabilities = std::span(mean).subspan(s * classes, classes);
        EXPECT_EQ(result.predicted[s], std::ranges::max_element(probabilities) - probabilities.begin());
        correct += result.predicted[s] == problem.view().labels[s] ? 1 : 0;
      }
      EXPECT_EQ(result.accuracy, static_cast<double>(correct) / static_cast<double>(samples));
      for (std::size_t i = 0; i < result.logits.size(); ++i)
        ASSERT_NEAR(result.logits[i], std::log(mean[i]), 1e-5) << i;
    }
    config.eval_input.average_shifts = 0;
  }
}

TEST(Evaluator, StagesScoreWhatOneStageScores) {
  config::RunConfig config = small_config();
  config.eval_input.batch_size = 8;
  config.run.reproducible = true;
  config.run.microbatch = 4;
  const comm::Communicator alone = world().split(world().rank());
  for (const int average_shifts : {0, 1}) {
    config.eval_input.average_shifts = average_shifts;
    for (const std::size_t samples : {1U, 3U, 101U}) {
      const EvaluationResult serial = evaluate(alone, config, samples);
      for (const int stages : test::stage_counts(world().size(), config)) {
        const EvaluationResult result = evaluate(world(), config, samples, stages);
        EXPECT_EQ(result.confusion, serial.confusion) << stages << " stages";
        EXPECT_EQ(result.loss, serial.loss) << stages << " stages";
      }
    }
  }
}

TEST(Evaluator, ConfusionHasTrueLabelsInRows) {
  const SmallProblem problem(101);
  std::vector<std::int64_t> of_label(10, 0);
  for (const std::uint8_t label : problem.view().labels) ++of_label[label];
  const EvaluationResult result = evaluate(world(), small_config(), 101);
  for (std::size_t label = 0; label < 10; ++label) {
    const auto row = result.confusion.begin() + static_cast<long>(10 * label);
    EXPECT_EQ(std::accumulate(row, row + 10, std::int64_t{0}), of_label[label]);
  }
}

TEST(Evaluator, EvalStepsLimitsTheBatches) {
  config::RunConfig config = small_config();
  config.eval_input.batch_size = 8;
  config.run.eval_steps = 3;
  EXPECT_EQ(evaluate(world(), config, 101).samples, 24U);
  EXPECT_EQ(evaluate(world(), config, 20).samples, 20U);
}

}  // namespace
}  // namespace fcmnist::train
