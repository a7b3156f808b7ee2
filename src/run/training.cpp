#include "run/training.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "config/load.hpp"
#include "core/error.hpp"
#include "core/hang_watch.hpp"
#include "run/best_score.hpp"
#include "run/learner.hpp"
#include "run/memory_check.hpp"
#include "run/run_files.hpp"
#include "run/run_log.hpp"
#include "run/scored_set.hpp"
#include "run/step_trace.hpp"
#include "run/stop_decision.hpp"
#include "run/time_limit.hpp"
#include "setup/datasets.hpp"
#include "setup/resume_position.hpp"
#include "setup/settle.hpp"
#include "train/step_time.hpp"
#include "train/verdict.hpp"

namespace fcmnist::run {

namespace {

bool due(std::int64_t step, long every) { return every > 0 && step % every == 0; }

/// A finite loss shows that the weights before the step were good; after a step that was skipped because it
/// was not, they are the same bad ones.
bool shows_good_weights(const train::StepResult& step) { return std::isfinite(step.loss); }

/// One run: the loop over the steps of a Learner, and what it writes. All ranks walk through it together;
/// rank 0 alone has files.
class TrainingRun {
 public:
  /// Collective; all ranks throw the same errors. All arguments must outlive it.
  TrainingRun(const setup::Context& context, const setup::Settled& settled, StopSignals& signals,
              Learner& learner);
  /// Returns done, or stopped when the run is to be resumed. Collective.
  ExitCode run();

 private:
  void open_files(Learner::Origin origin);
  ExitCode train_loop();
  train::StepResult make_step();
  [[nodiscard]] train::Requests make_requests();
  double lap(train::Activity activity);
  void score_weights(const train::StepResult& step);
  void validate_weights(bool may_end);
  template <class Score>
  train::EvaluationResult watched(Score score) const;
  void end_training_here();
  void evaluate_weights();
  void save_if_due(const train::StepResult& step);
  void save_checkpoint();
  void finish_trace();
  ExitCode stop_early(const train::StepResult& step);
  ExitCode finish_run();
  void start_finished_run();
  [[nodiscard]] bool scores_at(std::int64_t step) const;
  [[nodiscard]] bool pauses_at(const train::StepResult& step) const;

  const setup::Context* context_;
  const setup::Settled* settled_;
  StopSignals* signals_;
  const config::RunConfig* config_;
  Logger* log_;
  Logger::Level log_level_;  ///< that was asked for
  Learner* learner_;
  std::int64_t last_step_;  ///< at which the run is finished
  BestScore best_;          ///< of the validations
  StopDecision stop_decision_;
  std::string hang_error_;         ///< of this rank
  std::optional<RunFiles> files_;  ///< rank 0 only
  RunLog run_log_;
  StepTrace trace_;
  double files_s_ = 0.0;    ///< spent on files since the last step
  train::Stopwatch watch_;  ///< of what happens between steps
  double turn_s_ = 0.0;     ///< of this turn, before its evaluation
  train::Stopwatch turn_;  ///< of the loop, from one call of make_requests() to the next, without evaluations
};

TrainingRun::TrainingRun(const setup::Context& context, const setup::Settled& settled, StopSignals& signals,
                         Learner& learner)
    : context_(&context),
      settled_(&settled),
      signals_(&signals),
      config_(&settled.config),
      log_(&context.log()),
      log_level_(log_->level()),
      learner_(&learner),
      last_step_(learner.total_steps()),
      stop_decision_(signals),
      hang_error_(fmt::format(
          "fcmnist_mpi: error: [rank {}] a signal to stop has arrived, and the step has not ended: a "
          "library waits for ever\n  HINT: the same command goes on from the newest checkpoint\n",
          context.world().rank())),
      run_log_(context, settled, learner),
      trace_(context, settled, learner) {
  const Learner::Origin origin = learner_->take_start_point();
  learner_->check_replicas();
  open_files(origin);
  log_->info("training on {}", learner_->description());
  if (best_.has_lasted(config_->run.early_stopping)) end_training_here();
  const bool is_finished = learner_->steps_done() >= last_step_;
  if (origin == Learner::Origin::all && !is_finished)
    log_->info("resuming at step {}", learner_->steps_done());
  if (origin == Learner::Origin::weights) {
    log_->info("starting from the weights of {}", context.arguments().checkpoint_path);
  }
}

/// The files of a new run, or of the one that goes on, once it is clear that it may.
void TrainingRun::open_files(Learner::Origin origin) {
  store::TrainState saved;  // on rank 0
  const store::Checkpoint* checkpoint = settled_->start.run_that_goes_on();
  if (checkpoint != nullptr) saved = checkpoint->header().state;
  setup::on_root(context_->world(), [&] {
    if (origin == Learner::Origin::all) {
      setup::check_same_position(saved, learner_->position(), config_->train_input.data_dir,
                                 context_->grid().replicas());
      setup::check_same_images(checkpoint->header().manifest, learner_->manifest(),
                               config_->train_input.data_dir);
    }
    files_.emplace(RunFiles::Run{.model_dir = config_->run.model_dir,
                                 .subject = learner_->metrics_subject(),
                                 .checkpoint = config_->checkpoint,
                                 .config_yaml = settled_->config_yaml,
                                 .manifest = learner_->manifest(),
                                 .restart = context_->arguments().restart},
                   learner_->steps_done(), *settled_->lock, *log_);
    stop_decision_.set_time_limit({config_->run.max_time, context_->started_s(), *log_});
  });
  if (files_) best_ = best_of(files_->metrics().validation());
  best_ = context_->world().broadcast(best_, 0);
  run_log_.begin(files_ ? &*files_ : nullptr, saved.since_log_line);
}

ExitCode TrainingRun::run() {
  if (learner_->steps_done() >= last_step_) {
    start_finished_run();
    return ExitCode::done;
  }
  setup::on_root(context_->world(), [&] { files_->write_first_metrics(); });
  if (config_->checkpoint.save_initial_checkpoint && learner_->steps_done() == 0) save_checkpoint();
  trace_.say_if_never();
  signals_->catch_all();
  try {
    return train_loop();
  } catch (const Error& error) {
    // All ranks find such an error at a step boundary, before anything of this state was saved. What is held is
    // good.
    const bool state_is_bad =
        error.agreed() && (error.code() == ExitCode::diverged || error.code() == ExitCode::communication);
    if (files_ && state_is_bad) files_->abandon_run();
    throw;
  }
}

ExitCode TrainingRun::train_loop() {
  turn_.lap_s();
  for (bool last = false; !last;) {
    train::StepResult step = make_step();
    step.time.files_s = std::exchange(files_s_, 0.0);
    watch_.lap_s();
    if (files_ && shows_good_weights(step)) files_->release_checkpoint();
    files_s_ += lap(train::Activity::files);
    if (due(step.step, config_->run.check_replicas_steps)) learner_->check_replicas();
    step.time.exchange_s += lap(train::Activity::check);
    run_log_.add_step(step);
    files_s_ += lap(train::Activity::files);
    if (scores_at(step.step)) score_weights(step);
    if (step.requests.give_up)
      setup::on_root(context_->world(), [&] { throw StoreError(*files_->failure()); });
    save_if_due(step);
    files_s_ += lap(train::Activity::files);
    last = step.step == last_step_;
    if ((step.requests.stop || pauses_at(step)) && !last) return stop_early(step);
    if (trace_.ends_with(step.step) && !last) finish_trace();
  }
  return finish_run();
}

/// The time since the last call. It went into this activity.
double TrainingRun::lap(train::Activity activity) {
  const double begin_s = watch_.last_s();
  const double lap_s = watch_.lap_s();
  trace_.add(activity, begin_s, watch_.last_s());
  return lap_s;
}

/// A library that never returns must not keep a signal from being heard.
train::StepResult TrainingRun::make_step() {
  const std::int64_t next = learner_->steps_done() + 1;
  trace_.begin_step(next);
  const train::Requests mine = make_requests();
  const HangWatch watch(hang_error_, stop_decision_.patience_with_step(config_->comm.stall_timeout_s));
  return learner_->step(mine, run_log_.is_logged(next));
}

/// What this rank asks for at a step boundary. It happens after the next step.
train::Requests TrainingRun::make_requests() {
  stop_decision_.add_turn(std::exchange(turn_s_, 0.0) + turn_.lap_s());
  train::Requests mine;
  mine.stop = stop_decision_.signal_arrived();
  if (!files_) return mine;
  if (signals_->must_hurry()) log_->set_level(Logger::Level::off);  // a print may block until the end
  files_->check_lock();
  if (files_->file_is_done()) {
    run_log_.clear_bar();
    files_->conclude_file();
  }
  mine.save = files_->checkpoint_is_due();
  mine.give_up = files_->failure().has_value();
  const std::int64_t done = learner_->steps_done();
  const bool scores_next = scores_at(done + 1) || scores_at(done + 2);
  const bool time_is_up = stop_decision_.time_is_up(scores_next, files_->seconds_to_save());
  mine.stop = mine.stop || time_is_up;
  return mine;
}

/// The validation comes first: it may say that this step is the last one, whose evaluation tells more.
void TrainingRun::score_weights(const train::StepResult& step) {
  turn_s_ += turn_.lap_s();
  if (learner_->validates()) validate_weights(shows_good_weights(step));
  if (learner_->evaluates()) evaluate_weights();
  stop_decision_.add_evaluation(turn_.lap_s());
  lap(train::Activity::evaluation);
}

/// What `score` returns. It must not keep a signal from being heard either.
template <class Score>
train::EvaluationResult TrainingRun::watched(Score score) const {
  const HangWatch watch(hang_error_, stop_decision_.patience_with_evaluation(config_->comm.stall_timeout_s));
  return score();
}

/// `may_end`: these weights may be saved as the last ones.
void TrainingRun::validate_weights(bool may_end) {
  const train::EvaluationResult result = watched([&] { return learner_->validate(); });
  run_log_.add_validation(result);
  best_.add({learner_->steps_done(), result.accuracy, result.loss});
  if (may_end && best_.has_lasted(config_->run.early_stopping)) end_training_here();
}

/// Early stopping: the step that is done was the last one.
void TrainingRun::end_training_here() {
  last_step_ = learner_->steps_done();
  run_log_.end_here(*best_.best());
}

void TrainingRun::evaluate_weights() {
  const bool is_last = learner_->steps_done() >= last_step_;
  if (learner_->scores_average())
    run_log_.add_evaluation_of_trained(watched([&] { return learner_->evaluate_trained(); }));
  const train::EvaluationResult result = watched([&] { return learner_->evaluate(is_last); });
  run_log_.add_evaluation(result);
  if (files_ && is_last) files_->set_predictions(learner_->predictions(result));
}

/// Holds a checkpoint if one is due. A run that stops when this step shows no good weights goes on from the
/// checkpoint before.
void TrainingRun::save_if_due(const train::StepResult& step) {
  const train::Requests& asked = step.requests;
  const bool last = step.step == last_step_;
  if (shows_good_weights(step)) {
    if (last || asked.stop || asked.save || pauses_at(step) || best_.is_of(step.step) ||
        due(step.step, config_->checkpoint.checkpoint_steps))
      save_checkpoint();
  } else if (last) {  // every rank has the same loss
    throw train::diverged_error(
        fmt::format("step {}, the last one: the loss is {}; these weights are not saved", step.step,
                    step.loss))
        .as_agreed();
  } else if (asked.stop && files_) {
    files_->drop_checkpoint();
  }
}

/// A checkpoint holds the weights of rank 0, from which all ranks go on: never those of a rank that has
/// drifted. They are compared after the copy, so that nothing can happen in between.
void TrainingRun::save_checkpoint() {
  const auto network = learner_->state().gather();
  setup::on_root(context_->world(), [&] {
    train::check_finite(network->weights, learner_->steps_done());
    store::TrainState position = learner_->position();
    position.since_log_line = run_log_.sums();
    files_->hold_checkpoint(position, *network);
  });
  try {
    learner_->check_replicas();
  } catch (const Error&) {
    if (files_) files_->drop_checkpoint();
    throw;
  }
}

/// Collective.
void TrainingRun::finish_trace() {
  if (!trace_.is_recording()) return;
  const std::optional<store::Trace> trace = trace_.finish();
  if (!trace) return;
  run_log_.clear_bar();
  log_->info("{}", describe(*trace));
  files_->write_trace(*trace);
}

/// Ends a run before its last step. The checkpoint of this step is held, and no rank leaves before all is
/// durable. What takes long comes last, since mpirun gives a run a second to end.
ExitCode TrainingRun::stop_early(const train::StepResult& step) {
  run_log_.clear_bar();
  const std::string reason = step.requests.stop ? stop_decision_.reason() : "so far it was to train";
  setup::on_root(context_->world(), [&] {
    const std::string what =
        fmt::format("stopped after step {} of {}: {}", learner_->steps_done(), last_step_, reason);
    files_->write_held_checkpoint();
    files_->write_stopped(what);
    log_->set_level(log_level_);
    log_->info("{}; the same command goes on from the newest checkpoint", what);
  });
  finish_trace();
  setup::on_root(context_->world(), [&] {
    try {
      files_->finish_metrics();
    } catch (const StoreError& error) {
      log_->warn("{}; the journal has all rows", error.what());
    }
  });
  return ExitCode::stopped;
}

/// Ends a run whose last step is done, and whose checkpoint is held.
ExitCode TrainingRun::finish_run() {
  watch_.lap_s();
  setup::on_root(context_->world(), [&] { files_->write_held_checkpoint(); });
  finish_trace();
  setup::on_root(context_->world(), [&] {
    files_->finish_metrics();
    log_->set_level(log_level_);
  });
  run_log_.say_summary(files_s_ + watch_.lap_s());
  return ExitCode::done;
}

/// Makes good for what a run that was finished before has left undone.
void TrainingRun::start_finished_run() {
  run_log_.say_finished();
  setup::on_root(context_->world(), [&] { files_->merge_journal(); });
  const auto known_score = files_ ? files_->evaluation_of(learner_->steps_done()) : std::nullopt;
  const bool known =
      context_->world().broadcast(known_score && files_->has_predictions_of(learner_->steps_done()), 0);
  if (!learner_->evaluates() || learner_->steps_done() == 0) return;
  if (known_score) {  // as it was scored then
    config::Sources then;
    then.yaml = settled_->start.checkpoint->header().config_yaml;
    log_->info("its {} is {:.4f}", scored("accuracy", config::load(then).config), known_score->accuracy);
  }
  if (known) return;
  evaluate_weights();
  setup::on_root(context_->world(), [&] { files_->finish_metrics(); });
}

bool TrainingRun::scores_at(std::int64_t step) const {
  if (!learner_->evaluates() && !learner_->validates()) return false;
  const std::int64_t pause = context_->common().pause_after_step;
  return step == last_step_ || due(step, config_->run.eval_frequency) || (pause > 0 && step >= pause);
}

/// Not with weights that cannot be saved, since it is to go on from them.
bool TrainingRun::pauses_at(const train::StepResult& step) const {
  const std::int64_t pause = context_->common().pause_after_step;
  return pause > 0 && step.step >= pause && shows_good_weights(step);
}

}  // namespace

ExitCode run_training(const setup::Context& context, StopSignals& signals) {
  const setup::Settled settled =
      refused_if_too_large(context, [&] { return setup::settle(context, setup::Intent::train); });
  refused_if_too_large(context, [&] { check_training_memory(context, settled); });
  std::optional<Learner> learner(std::in_place, context, settled);
  std::optional<Error> error;
  try {
    return TrainingRun(context, settled, signals, *learner).run();
  } catch (const Error& found) {
    if (!found.agreed()) throw;
    error = found;
  }
  // While an exception is on its way, windows are not freed; and another run may follow in this process.
  learner.reset();
  throw Error(*error);
}

}  // namespace fcmnist::run
