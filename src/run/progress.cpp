#include "run/progress.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/text.hpp"
#include "run/best_score.hpp"
#include "run/scored_set.hpp"

namespace fcmnist::run {

void Progress::add(const train::StepResult& step) {
  const auto samples = static_cast<double>(step.samples);
  last_ = step;
  recomputed_ += step.recomputed;
  if (step.skipped) {
    ++sums_.skipped;
  } else {
    sums_.loss += step.loss * samples;
    sums_.correct += step.accuracy * samples;
    sums_.samples += samples;
  }
  interval_samples_ += samples;
  interval_steps_ += 1.0;
  samples_ += samples;
  interval_time_ += step.time;
  total_time_ += step.time;
  interval_pipeline_ += step.pipeline;
  total_pipeline_ += step.pipeline;
}

train::StepResult Progress::interval() const {
  train::StepResult mean = last_;
  mean.loss = sums_.loss / sums_.samples;
  mean.accuracy = sums_.correct / sums_.samples;
  mean.skipped = sums_.skipped > 0;
  mean.time = interval_time();
  mean.pipeline = interval_pipeline_.divided_by(interval_steps_);
  return mean;
}

store::TrainRow Progress::row_of(const train::StepResult& step, double rate, double elapsed_before_s) const {
  return {.step = step.step,
          .epoch = step.epoch,
          .loss = step.loss,
          .accuracy = step.accuracy,
          .learning_rate = step.learning_rate,
          .grad_norm = step.gradient_norm,
          .samples_per_s = rate,
          .elapsed_s = elapsed_before_s + total_time_.total_s(),
          .compute_s = step.time.compute_s,
          .exchange_s = step.time.exchange_s,
          .data_s = step.time.data_s,
          .files_s = step.time.files_s,
          .skipped = step.skipped ? 1 : 0,
          .bubble_fraction = step.pipeline.bubble_fraction(),
          .loss_scale = step.loss_scale,
          .stage_busy_s = step.pipeline.busy_s,
          .grad_norm_by_array = {step.array_norms.begin(), step.array_norms.end()}};
}

store::TrainRow Progress::step_row(double elapsed_before_s) const {
  return row_of(last_, static_cast<double>(last_.samples) / last_.time.step_s(), elapsed_before_s);
}

store::TrainRow Progress::interval_row(double elapsed_before_s) const {
  return row_of(interval(), rate(), elapsed_before_s);
}

void Progress::start_interval() {
  sums_ = {};
  interval_samples_ = interval_steps_ = 0.0;
  interval_time_ = {};
  interval_pipeline_ = {};
}

double Progress::rate() const { return interval_samples_ / interval_time_.step_s(); }

double Progress::global_rate() const { return samples_ / total_time_.step_s(); }

double Progress::time_remaining_s() const {
  const auto done = static_cast<double>(last_.step - first_step_);
  return total_time_.total_s() / done * static_cast<double>(total_steps_ - last_.step);
}

std::string Progress::line() const {
  const train::StepResult mean = interval();
  return fmt::format(
      "| Train Device=cpu Step={} Loss={:.5f} Accuracy={:.4f} LearningRate={:.5g} Rate={:.0f} samples/s "
      "GlobalRate={:.0f} samples/s TimeRemaining={}",
      mean.step, mean.loss, mean.accuracy, mean.learning_rate, rate(), global_rate(),
      format_duration(time_remaining_s()));
}

store::RankTime rank_time(const train::TimeSplit& time) {
  const auto number = [](double seconds) { return static_cast<float>(seconds); };
  return {number(time.compute_s), number(time.exchange_s), number(time.wait_s),  number(time.sum_s),
          number(time.update_s),  number(time.data_s),     number(time.files_s), number(time.exposed_s)};
}

std::string eval_line(std::int64_t step, const train::EvaluationResult& result, const std::string& marks) {
  return fmt::format("| Eval Device=cpu Step={} Loss={:.5f} Accuracy={:.4f} Samples={}{}", step, result.loss,
                     result.accuracy, result.samples, marks);
}

std::string format_time_split(const train::TimeSplit& time) {
  const double percent = 100.0 / std::max(time.total_s(), 1e-12);
  return fmt::format("compute {:.1f} % | exchange {:.1f} % | data {:.1f} % | files {:.1f} %",
                     time.compute_s * percent, time.exchange_s * percent, time.data_s * percent,
                     time.files_s * percent);
}

std::string format_pipeline_time(const train::PipelineTime& time) {
  const double percent = 100.0 / std::max(time.total_s, 1e-12);
  std::string text = "pipeline:";
  for (std::size_t s = 0; s < time.busy_s.size(); ++s) {
    text += fmt::format(" stage {} busy {:.1f} % |", s, time.busy_s[s] * percent);
  }
  return text + fmt::format(" bubble {:.1f} %", 100.0 * time.bubble_fraction());
}

namespace {

/// The steps and the time of the whole run, if this start did not do all of it.
std::string whole_run(const DoneRun& run, const Progress& progress) {
  if (progress.steps_before() == 0) return "";
  if (!run.elapsed_before_s) return fmt::format(" ({} steps with those before this start)", run.total_steps);
  return fmt::format(" ({} steps in {} with earlier starts)", run.total_steps,
                     format_duration(*run.elapsed_before_s + progress.total_time().total_s()));
}

std::string validation_line(std::span<const store::EvalRow> validations, const store::ModelDir& model_dir) {
  const BestScore best = best_of(validations);
  const store::EvalRow& last = validations.back();
  const bool is_saved = model_dir.best_checkpoint() == best.best()->step;
  return fmt::format("validation accuracy {:.4f} (error {:.2f} %); the best was {:.4f} at step {}{}",
                     last.accuracy, 100.0 * (1.0 - last.accuracy), best.best()->accuracy, best.best()->step,
                     is_saved ? ": " + model_dir.best_checkpoint_file().string() : "");
}

}  // namespace

std::vector<std::string> done_lines(const DoneRun& run, const Progress& progress) {
  const train::TimeSplit& time = progress.total_time();
  const store::ModelDir model_dir(run.config.run.model_dir);
  const auto steps = static_cast<std::size_t>(progress.steps());
  std::vector<std::string> lines = {
      fmt::format("done: {} step{} in {} of training, {:.0f} samples/s{}", steps, plural(steps),
                  format_duration(time.total_s()), progress.global_rate(), whole_run(run, progress)),
      fmt::format("time of rank 0: {}", format_time_split(time)),
      fmt::format("peak memory of a rank: {:.0f} MB, data shared by its node included",
                  run.peak_bytes / 1e6)};
  if (const train::PipelineTime& pipeline = progress.total_pipeline(); !pipeline.busy_s.empty()) {
    lines.push_back(format_pipeline_time(pipeline));
  }
  if (progress.recomputed() > 0) {
    lines.push_back(fmt::format("reproducible: {} gradients were computed again in another fixed-point unit",
                                progress.recomputed()));
  }
  if (const store::EvalRow* last = run.last_evaluation) {
    lines.push_back(fmt::format("{} {:.4f} (error {:.2f} %), loss {:.5f}", scored("accuracy", run.config),
                                last->accuracy, 100.0 * (1.0 - last->accuracy), last->loss));
  }
  if (const store::EvalRow* last = run.last_of_trained) {
    lines.push_back(
        fmt::format("this is of the average of the weights; of the weights of the last step: {:.4f} (error "
                    "{:.2f} %), loss {:.5f}",
                    last->accuracy, 100.0 * (1.0 - last->accuracy), last->loss));
  }
  if (!run.validations.empty()) lines.push_back(validation_line(run.validations, model_dir));
  const bool has_predictions = run.last_evaluation != nullptr;
  lines.push_back(fmt::format("files: {} {} {}{}", model_dir.checkpoint_file(run.total_steps).string(),
                              model_dir.metrics_file().string(),
                              has_predictions ? model_dir.predictions_file().string() + " " : "",
                              model_dir.params_file().string()));
  return lines;
}

std::string finished_line(std::int64_t steps_done, std::int64_t total_steps, const store::ModelDir& model_dir,
                          bool ended_early) {
  return fmt::format(
      "the run in {} is finished: {} of {} steps are done; a larger {} goes on, --restart starts over",
      model_dir.path().string(), steps_done, total_steps,
      ended_early ? "runconfig.early_stopping" : "--max_steps or --num_epochs");
}

std::size_t peak_memory_bytes() {
  struct rusage usage = {};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<std::size_t>(usage.ru_maxrss) * 1024 : 0;
}

ProgressBar::ProgressBar(bool enabled) : enabled_(enabled && isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::show(std::int64_t step, std::int64_t total_steps) {
  if (!enabled_) return;
  const auto permille = static_cast<int>(1000 * step / std::max<std::int64_t>(total_steps, 1));
  if (permille == shown_permille_) return;
  shown_permille_ = permille;
  const std::string bar(static_cast<std::size_t>(permille / 25), '#');
  fmt::print(stderr, "\r[{:<40}] {:5.1f} %", bar, permille / 10.0);
  std::fflush(stderr);
}

void ProgressBar::clear() {
  if (!enabled_ || shown_permille_ < 0) return;
  fmt::print(stderr, "\r{:60}\r", "");
  std::fflush(stderr);
  shown_permille_ = -1;
}

}  // namespace fcmnist::run
