#include "run/training.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/hang_watch.hpp"
#include "run/learner.hpp"
#include "run/memory_check.hpp"
#include "run/progress.hpp"
#include "run/run_files.hpp"
#include "run/scored_set.hpp"
#include "run/stop_decision.hpp"
#include "run/time_limit.hpp"
#include "setup/datasets.hpp"
#include "setup/resume_position.hpp"
#include "setup/settle.hpp"
#include "store/rank_rows.hpp"
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
  void record_metrics(bool is_logged);
  void record_ranks(std::int64_t step);
  void log_progress(std::int64_t step);
  void evaluate_weights();
  void save_if_due(const train::StepResult& step);
  void save_checkpoint();
  ExitCode stop_early();
  ExitCode finish_run();
  void say_summary();
  void say_finished();
  [[nodiscard]] bool evaluates_at(std::int64_t step) const;

  const setup::Context* context_;
  const setup::Settled* settled_;
  StopSignals* signals_;
  const config::RunConfig* config_;
  Logger* log_;
  spdlog::level::level_enum log_level_;  ///< that was asked for
  Learner* learner_;
  std::int64_t total_steps_;
  StopDecision stop_decision_;
  std::string hang_error_;         ///< of this rank
  std::optional<RunFiles> files_;  ///< rank 0 only
  Progress progress_;
  ProgressBar bar_;
  double files_s_ = 0.0;   ///< spent on files since the last step
  double turn_s_ = 0.0;    ///< of this turn, before its evaluation
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
      total_steps_(learner.total_steps()),
      stop_decision_(signals),
      hang_error_(fmt::format(
          "fcmnist_mpi: error: [rank {}] a signal to stop has arrived, and the step has not ended: a "
          "library waits for ever\n  HINT: the same command goes on from the newest checkpoint\n",
          context.world().rank())),
      progress_(0, total_steps_),
      bar_(context.is_root()) {
  const Learner::Origin origin = learner_->take_start_point();
  learner_->check_replicas();
  open_files(origin);
  log_->info("training on {}", learner_->description());
  const bool is_finished = learner_->steps_done() >= total_steps_;
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
  progress_ = Progress(learner_->steps_done(), total_steps_, saved.since_log_line);
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
}

ExitCode TrainingRun::run() {
  if (learner_->steps_done() >= total_steps_) {
    say_finished();
    return ExitCode::done;
  }
  setup::on_root(context_->world(), [&] { files_->write_first_metrics(); });
  if (config_->checkpoint.save_initial_checkpoint && learner_->steps_done() == 0) save_checkpoint();
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
    train::Stopwatch watch;
    if (files_ && shows_good_weights(step)) files_->release_checkpoint();
    files_s_ += watch.lap_s();
    if (due(step.step, config_->run.check_replicas_steps)) learner_->check_replicas();
    step.time.exchange_s += watch.lap_s();
    progress_.add(step);
    last = step.step == total_steps_;
    const bool is_logged = last || due(step.step, config_->run.log_steps);
    record_metrics(is_logged);
    if (is_logged) log_progress(step.step);
    files_s_ += watch.lap_s();
    if (evaluates_at(step.step)) evaluate_weights();
    watch.lap_s();
    if (step.requests.give_up)
      setup::on_root(context_->world(), [&] { throw StoreError(*files_->failure()); });
    save_if_due(step);
    files_s_ += watch.lap_s();
    if (step.requests.stop && !last) return stop_early();
  }
  return finish_run();
}

/// A library that never returns must not keep a signal from being heard.
train::StepResult TrainingRun::make_step() {
  const train::Requests mine = make_requests();
  const HangWatch watch(hang_error_, stop_decision_.patience_with_step(config_->comm.stall_timeout_s));
  return learner_->step(mine);
}

/// What this rank asks for at a step boundary. It happens after the next step.
train::Requests TrainingRun::make_requests() {
  stop_decision_.add_turn(std::exchange(turn_s_, 0.0) + turn_.lap_s());
  train::Requests mine;
  mine.stop = stop_decision_.signal_arrived();
  if (!files_) return mine;
  if (signals_->must_hurry()) log_->set_level(spdlog::level::off);  // a print may block until the end
  files_->check_lock();
  if (files_->file_is_done()) {
    bar_.clear();
    files_->conclude_file();
  }
  mine.save = files_->checkpoint_is_due();
  mine.give_up = files_->failure().has_value();
  const std::int64_t done = learner_->steps_done();
  const bool evaluates_next = evaluates_at(done + 1) || evaluates_at(done + 2);
  const bool time_is_up = stop_decision_.time_is_up(evaluates_next, files_->seconds_to_save());
  mine.stop = mine.stop || time_is_up;
  return mine;
}

/// Appends a metrics row: one for every step, or one for the mean since the last log line.
void TrainingRun::record_metrics(bool is_logged) {
  if (!files_) return;
  if (config_->run.save_losses) {
    files_->metrics().append(progress_.step_row(files_->elapsed_before_s()));
  } else if (is_logged) {
    files_->metrics().append(progress_.interval_row(files_->elapsed_before_s()));
  }
}

/// Appends where the time of every rank went since the last log line. Collective.
void TrainingRun::record_ranks(std::int64_t step) {
  const auto times = context_->world().all_gather(progress_.interval_time());
  if (!files_) return;
  std::vector<store::RankTime> ranks;
  for (const train::TimeSplit& time : times) ranks.push_back(rank_time(time));
  files_->metrics().append(store::rank_row(step, std::move(ranks)));
}

void TrainingRun::log_progress(std::int64_t step) {
  record_ranks(step);
  if (files_) files_->keep_metrics();  // first, so that what is logged is kept
  bar_.clear();
  log_->info("{}", progress_.line());
  bar_.show(step, total_steps_);
  progress_.start_interval();
}

void TrainingRun::evaluate_weights() {
  turn_s_ += turn_.lap_s();
  const bool is_last = learner_->steps_done() >= total_steps_;
  const train::EvaluationResult result = [&] {
    const HangWatch watch(hang_error_,
                          stop_decision_.patience_with_evaluation(config_->comm.stall_timeout_s));
    return learner_->evaluate(is_last);
  }();
  stop_decision_.add_evaluation(turn_.lap_s());
  bar_.clear();
  log_->info("{}", eval_line(learner_->steps_done(), result, *config_));
  if (!std::isfinite(result.loss)) {
    throw train::diverged_error(
        fmt::format("step {}: the {} is {}: training has diverged, these weights are not saved",
                    learner_->steps_done(), scored("loss", *config_), result.loss))
        .as_agreed();
  }
  if (!files_) return;
  files_->metrics().append(store::EvalRow{
      learner_->steps_done(), learner_->epoch(), result.loss, result.accuracy,
      files_->elapsed_before_s() + progress_.total_time().total_s(), result.confusion, result.predicted});
  if (is_last) files_->set_predictions(learner_->predictions(result));
}

/// Holds a checkpoint if one is due. A run that stops when this step shows no good weights goes on from the
/// checkpoint before.
void TrainingRun::save_if_due(const train::StepResult& step) {
  const train::Requests& asked = step.requests;
  const bool last = step.step == total_steps_;
  if (shows_good_weights(step)) {
    if (last || asked.stop || asked.save || due(step.step, config_->checkpoint.checkpoint_steps))
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
    position.since_log_line = progress_.sums();
    files_->hold_checkpoint(position, *network);
  });
  try {
    learner_->check_replicas();
  } catch (const Error&) {
    if (files_) files_->drop_checkpoint();
    throw;
  }
}

/// Ends a run before its last step. The checkpoint of this step is held, and no rank leaves before all is
/// durable. What takes long comes last, since mpirun gives a run a second to end.
ExitCode TrainingRun::stop_early() {
  bar_.clear();
  setup::on_root(context_->world(), [&] {
    const std::string what = fmt::format("stopped after step {} of {}: {}", learner_->steps_done(),
                                         total_steps_, stop_decision_.reason());
    files_->write_held_checkpoint();
    files_->write_stopped(what);
    log_->set_level(log_level_);
    log_->info("{}; the same command goes on from the newest checkpoint", what);
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
  train::Stopwatch watch;
  setup::on_root(context_->world(), [&] {
    files_->write_held_checkpoint();
    files_->finish_metrics();
    log_->set_level(log_level_);
  });
  progress_.add_files(files_s_ + watch.lap_s());
  bar_.clear();
  say_summary();
  return ExitCode::done;
}

void TrainingRun::say_summary() {
  const double peak_bytes = context_->world().max(static_cast<double>(peak_memory_bytes()));
  if (!files_) return;
  const DoneRun run = {.config = *config_,
                       .total_steps = total_steps_,
                       .elapsed_before_s = files_->elapsed_of_all_before_s(),
                       .peak_bytes = peak_bytes,
                       .last_evaluation = learner_->evaluates() ? &files_->metrics().eval().back() : nullptr};
  for (const std::string& line : done_lines(run, progress_)) log_->info("{}", line);
}

void TrainingRun::say_finished() {
  log_->info("{}",
             finished_line(learner_->steps_done(), total_steps_, store::ModelDir(config_->run.model_dir)));
  setup::on_root(context_->world(), [&] { files_->merge_journal(); });
  const auto known_score = files_ ? files_->evaluation_of(learner_->steps_done()) : std::nullopt;
  const bool known =
      context_->world().broadcast(known_score && files_->has_predictions_of(learner_->steps_done()), 0);
  if (!learner_->evaluates() || learner_->steps_done() == 0) return;
  if (known_score) log_->info("its {} is {:.4f}", scored("accuracy", *config_), known_score->accuracy);
  if (known) return;
  evaluate_weights();
  setup::on_root(context_->world(), [&] { files_->finish_metrics(); });
}

bool TrainingRun::evaluates_at(std::int64_t step) const {
  return learner_->evaluates() && (step == total_steps_ || due(step, config_->run.eval_frequency));
}

}  // namespace

ExitCode run_training(const setup::Context& context, StopSignals& signals) {
  const setup::Settled settled = setup::settle(context, setup::Intent::train);
  check_training_memory(context, settled);
  Learner learner(context, settled);
  return TrainingRun(context, settled, signals, learner).run();
}

}  // namespace fcmnist::run
