#pragma once

#include <cstdint>

#include "run/learner.hpp"
#include "run/progress.hpp"
#include "run/run_files.hpp"
#include "setup/context.hpp"
#include "setup/settle.hpp"
#include "train/evaluator.hpp"
#include "train/trainer.hpp"

namespace fcmnist::run {

/// What a training run says of its steps and evaluations in the log, and stores of them in the metrics. Files are
/// there on rank 0 only.
class RunLog {
 public:
  /// All arguments must outlive it.
  RunLog(const setup::Context& context, const setup::Settled& settled, const Learner& learner);
  /// To be called before the first step.
  ///   interval  what a run that goes on had added up since its last log line
  void begin(RunFiles* files, const store::LogInterval& interval);

  /// Whether there is a log line after this step.
  [[nodiscard]] bool is_logged(std::int64_t step) const;
  /// A step has been made. Collective if it is logged.
  void add_step(const train::StepResult& step);
  /// These weights were scored. Throws DivergedError on all ranks if their loss is not finite.
  void add_evaluation(const train::EvaluationResult& result);
  /// Of the weights themselves, where the others are of their average.
  void add_evaluation_of_trained(const train::EvaluationResult& result);
  /// The same on the validation samples.
  void add_validation(const train::EvaluationResult& result);
  /// Validations have not got better for so long that the step that is done was the last one. Collective.
  void end_here(const Score& best);
  /// Nothing more is drawn on the terminal until the next step.
  void clear_bar() { bar_.clear(); }

  [[nodiscard]] const store::LogInterval& sums() const { return progress_.sums(); }
  /// The run has made its last step. Collective.
  ///   files_s  time for files after the last step
  void say_summary(double files_s);
  /// The run was finished before.
  void say_finished() const;

 private:
  [[nodiscard]] store::EvalRow row_of(const train::EvaluationResult& result) const;
  [[nodiscard]] std::string average_mark() const;  ///< of a line about the average of the weights
  void check_finite_loss(const train::EvaluationResult& result, const std::string& what) const;
  void end_interval(std::int64_t step);
  void append_row(bool is_logged);
  void append_ranks(std::int64_t step);
  void append_norms(const train::StepResult& step);

  const setup::Context* context_;
  const config::RunConfig* config_;
  const Learner* learner_;
  Logger* log_;
  RunFiles* files_ = nullptr;
  std::int64_t total_steps_;
  bool ended_early_ = false;
  Progress progress_;
  ProgressBar bar_;
};

}  // namespace fcmnist::run
