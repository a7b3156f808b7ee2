#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "store/checkpoint.hpp"
#include "store/metrics_rows.hpp"
#include "store/model_dir.hpp"
#include "store/rank_rows.hpp"
#include "train/evaluator.hpp"
#include "train/step_time.hpp"
#include "train/trainer.hpp"

namespace fcmnist::run {

/// Means over the steps since the last log line, and the rates. Rates count the steps alone: evaluations and
/// files in between do not slow them down.
class Progress {
 public:
  /// `interval`: what a run that goes on had added up since its last log line.
  Progress(std::int64_t steps_done, std::int64_t total_steps, const store::LogInterval& interval = {})
      : first_step_(steps_done), total_steps_(total_steps), sums_(interval) {}

  void add(const train::StepResult& step);
  /// "| Train Device=cpu Step=50 Loss=0.35123 ..."
  [[nodiscard]] std::string line() const;
  /// Mean of the steps since the last start_interval().
  [[nodiscard]] train::StepResult interval() const;
  /// The metrics row of the last step, and of the interval. `elapsed_before_s`: training time of the
  /// processes before this one.
  [[nodiscard]] store::TrainRow step_row(double elapsed_before_s) const;
  [[nodiscard]] store::TrainRow interval_row(double elapsed_before_s) const;
  /// The mean time of a step of this rank since the last start_interval().
  [[nodiscard]] train::TimeSplit interval_time() const { return interval_time_.divided_by(interval_steps_); }
  void start_interval();
  /// What has been added up since then, for the checkpoint.
  [[nodiscard]] const store::LogInterval& sums() const { return sums_; }

  [[nodiscard]] double rate() const;         ///< samples/s since the last line
  [[nodiscard]] double global_rate() const;  ///< samples/s since the start of this process
  [[nodiscard]] double time_remaining_s() const;
  /// Gradients since the start of this process that were computed once more; see StepResult.
  [[nodiscard]] std::int64_t recomputed() const { return recomputed_; }
  /// Of this process, and before it.
  [[nodiscard]] std::int64_t steps() const { return last_.step - first_step_; }
  [[nodiscard]] std::int64_t steps_before() const { return first_step_; }
  /// Time for files after the last step.
  void add_files(double seconds) { total_time_.files_s += seconds; }
  [[nodiscard]] const train::TimeSplit& total_time() const { return total_time_; }
  /// Since the start of this process.
  [[nodiscard]] const train::PipelineTime& total_pipeline() const { return total_pipeline_; }

 private:
  [[nodiscard]] store::TrainRow row_of(const train::StepResult& step, double rate,
                                       double elapsed_before_s) const;

  std::int64_t first_step_;
  std::int64_t total_steps_;
  train::StepResult last_;
  store::LogInterval sums_;  ///< its steps may be those of an earlier process too
  std::int64_t recomputed_ = 0;
  double samples_ = 0.0;  ///< of this process, as are the three below
  double interval_samples_ = 0.0, interval_steps_ = 0.0;
  train::TimeSplit interval_time_, total_time_;
  train::PipelineTime interval_pipeline_, total_pipeline_;
};

/// Where the time of a rank went, as metrics have it.
store::RankTime rank_time(const train::TimeSplit& time);

/// "| Eval Device=cpu Step=4690 Loss=.. Accuracy=.. Samples=10000", and " Split=train" if that is scored
std::string eval_line(std::int64_t step, const train::EvaluationResult& result, const std::string& marks);

/// "compute 80.1 % | exchange 15.0 % | data 3.9 % | files 1.0 %"
std::string format_time_split(const train::TimeSplit& time);

/// "pipeline: stage 0 busy 81.0 % | stage 1 busy 52.3 % | bubble 33.4 %"
std::string format_pipeline_time(const train::PipelineTime& time);

/// A run whose last step is done.
struct DoneRun {
  const config::RunConfig& config;
  std::int64_t total_steps = 0;
  std::optional<double> elapsed_before_s;  ///< training time of the steps before this start, if it is known
  double peak_bytes = 0.0;                 ///< largest memory of a rank
  const store::EvalRow* last_evaluation = nullptr;  ///< nullptr without evaluations
  const store::EvalRow* last_of_trained = nullptr;  ///< if that is of the average of the weights, of these
  std::span<const store::EvalRow> validations = {};
};

/// What it says, line by line. Steps, time and rate are those of this start; if it went on from an earlier
/// one, the steps and the time of the whole run follow.
std::vector<std::string> done_lines(const DoneRun& run, const Progress& progress);

/// What it says when it is started once more after that.
std::string finished_line(std::int64_t steps_done, std::int64_t total_steps, const store::ModelDir& model_dir,
                          bool ended_early);

/// Largest memory that this process has had, in bytes, shared windows that it touched included.
std::size_t peak_memory_bytes();

/// A bar on standard error, redrawn in place; only when that is a terminal, and gone when the run ends.
class ProgressBar {
 public:
  explicit ProgressBar(bool enabled);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void show(std::int64_t step, std::int64_t total_steps);
  void clear();

 private:
  bool enabled_;
  int shown_permille_ = -1;
};

}  // namespace fcmnist::run
