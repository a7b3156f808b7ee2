#include "run/run_log.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>
#include <vector>

#include "core/text.hpp"
#include "run/scored_set.hpp"
#include "store/rank_rows.hpp"
#include "train/verdict.hpp"

namespace fcmnist::run {

RunLog::RunLog(const setup::Context& context, const setup::Settled& settled, const Learner& learner)
    : context_(&context),
      config_(&settled.config),
      learner_(&learner),
      log_(&context.log()),
      total_steps_(learner.total_steps()),
      progress_(0, total_steps_),
      bar_(context.has_terminal()) {}

void RunLog::begin(RunFiles* files, const store::LogInterval& interval) {
  files_ = files;
  progress_ = Progress(learner_->steps_done(), total_steps_, interval);
}

bool RunLog::is_logged(std::int64_t step) const {
  return step == total_steps_ || step % config_->run.log_steps == 0;
}

void RunLog::add_step(const train::StepResult& step) {
  progress_.add(step);
  append_row(is_logged(step.step));
  if (!is_logged(step.step)) return;
  append_norms(step);
  end_interval(step.step);
}

void RunLog::end_interval(std::int64_t step) {
  append_ranks(step);
  if (files_ != nullptr) files_->keep_metrics();  // first, so that what is logged is kept
  bar_.clear();
  log_->info("{}", progress_.line());
  bar_.show(step, total_steps_);
  progress_.start_interval();
}

/// One for every step, or one for the mean since the last log line.
void RunLog::append_row(bool is_logged) {
  if (files_ == nullptr) return;
  if (config_->run.save_losses) {
    files_->metrics().append(progress_.step_row(files_->elapsed_before_s()));
  } else if (is_logged) {
    files_->metrics().append(progress_.interval_row(files_->elapsed_before_s()));
  }
}

/// Where the time of every rank went since the last log line.
void RunLog::append_ranks(std::int64_t step) {
  const auto times = context_->world().gather(progress_.interval_time(), 0);
  if (files_ == nullptr) return;
  std::vector<store::RankTime> ranks;
  for (const train::TimeSplit& time : times) ranks.push_back(rank_time(time));
  files_->metrics().append(store::rank_row(step, std::move(ranks)));
}

void RunLog::append_norms(const train::StepResult& step) {
  const auto& [weights, updates] = step.weight_norms;
  if (files_ == nullptr || weights.empty()) return;
  files_->metrics().append(
      store::ArrayRow{step.step, {weights.begin(), weights.end()}, {updates.begin(), updates.end()}});
}

void RunLog::add_evaluation(const train::EvaluationResult& result) {
  bar_.clear();
  log_->info("{}", eval_line(learner_->steps_done(), result, scored_marks(*config_) + average_mark()));
  check_finite_loss(result, scored("loss", *config_));
  if (files_ != nullptr) files_->metrics().append(row_of(result));
}

void RunLog::add_evaluation_of_trained(const train::EvaluationResult& result) {
  bar_.clear();
  log_->info("{}", eval_line(learner_->steps_done(), result,
                             scored_marks(*config_) + weights_mark(data::ScoredWeights::trained)));
  check_finite_loss(result, scored("loss", *config_));
  if (files_ == nullptr) return;
  store::TrainedRow row{row_of(result)};
  row.scores.predicted.clear();
  files_->metrics().append(row);
}

std::string RunLog::average_mark() const {
  return learner_->scores_average() ? weights_mark(data::ScoredWeights::averaged) : "";
}

void RunLog::add_validation(const train::EvaluationResult& result) {
  bar_.clear();
  log_->info("{}", eval_line(learner_->steps_done(), result, " Split=validation" + average_mark()));
  check_finite_loss(result, "validation loss");
  if (files_ == nullptr) return;
  store::ValidationRow row{row_of(result)};
  row.scores.predicted.clear();
  files_->metrics().append(row);
}

store::EvalRow RunLog::row_of(const train::EvaluationResult& result) const {
  return {learner_->steps_done(),
          learner_->epoch(),
          result.loss,
          result.accuracy,
          files_->elapsed_before_s() + progress_.total_time().total_s(),
          result.confusion,
          result.predicted};
}

void RunLog::check_finite_loss(const train::EvaluationResult& result, const std::string& what) const {
  if (std::isfinite(result.loss)) return;
  throw train::diverged_error(
      fmt::format("step {}: the {} is {}: training has diverged, these weights are not saved",
                  learner_->steps_done(), what, result.loss))
      .as_agreed();
}

void RunLog::end_here(const Score& best) {
  const std::int64_t step = learner_->steps_done();
  const bool has_made_steps = progress_.steps() > 0;  // not if the run was finished before
  if (has_made_steps && !is_logged(step)) {
    if (!config_->run.save_losses) append_row(true);
    end_interval(step);
  }
  bar_.clear();
  log_->info(
      "early stopping after step {} of {}: {} validation{} in a row without a better one than step {}'s",
      learner_->steps_done(), total_steps_, config_->run.early_stopping,
      plural(static_cast<std::size_t>(config_->run.early_stopping)), best.step);
  total_steps_ = learner_->steps_done();
  ended_early_ = true;
}

void RunLog::say_summary(double files_s) {
  progress_.add_files(files_s);
  bar_.clear();
  const double peak_bytes = context_->world().max(static_cast<double>(peak_memory_bytes()));
  if (files_ == nullptr) return;
  const DoneRun run = {.config = *config_,
                       .total_steps = total_steps_,
                       .elapsed_before_s = files_->elapsed_of_all_before_s(),
                       .peak_bytes = peak_bytes,
                       .last_evaluation = learner_->evaluates() ? &files_->metrics().eval().back() : nullptr,
                       .last_of_trained = learner_->evaluates() && learner_->scores_average()
                                              ? &files_->metrics().eval_trained().back()
                                              : nullptr,
                       .validations = files_->metrics().validation()};
  for (const std::string& line : done_lines(run, progress_)) log_->info("{}", line);
}

void RunLog::say_finished() const {
  log_->info("{}", finished_line(learner_->steps_done(), total_steps_,
                                 store::ModelDir(config_->run.model_dir), ended_early_));
}

}  // namespace fcmnist::run
