#include "run/training.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "run/learner.hpp"
#include "run/progress.hpp"
#include "run/run_files.hpp"
#include "run/stop_decision.hpp"
#include "run/time_limit.hpp"
#include "setup/arithmetic.hpp"
#include "setup/plan_in_effect.hpp"
#include "setup/resume_position.hpp"
#include "setup/settle.hpp"
#include "setup/start_point.hpp"
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
  TrainingRun(setup::RunContext& context, StopSignals& signals, Learner& learner, setup::Start& start);
  /// done, or stopped when the run is to be resumed.
  ExitCode run();

 private:
  void begin(setup::Start& start);
  ExitCode train_loop();
  [[nodiscard]] train::Requests requests();
  void record(bool logged);
  void log(std::int64_t step);
  void evaluate();
  void save_if_due(const train::StepResult& step);
  void save();
  ExitCode stop();
  ExitCode finish();
  void summarise();
  void say_finished();
  [[nodiscard]] bool evaluates_at(std::int64_t step) const;

  setup::RunContext* context_;
  StopSignals* signals_;
  const config::RunConfig* config_;
  Logger* log_;
  spdlog::level::level_enum log_level_;  ///< that was asked for
  Learner* learner_;
  std::int64_t total_steps_;
  StopDecision stop_decision_;
  std::optional<RunFiles> files_;  ///< rank 0 only
  Progress progress_;
  ProgressBar bar_;
  double files_s_ = 0.0;   ///< spent on files since the last step
  double turn_s_ = 0.0;    ///< of this turn, before its evaluation
  train::Stopwatch turn_;  ///< of the loop, from one call of requests() to the next, without evaluations
};

TrainingRun::TrainingRun(setup::RunContext& context, StopSignals& signals, Learner& learner,
                         setup::Start& start)
    : context_(&context),
      signals_(&signals),
      config_(&context.config),
      log_(context.log.get()),
      log_level_(log_->level()),
      learner_(&learner),
      total_steps_(learner.total_steps()),
      stop_decision_(signals),
      progress_(0, total_steps_),
      bar_(context.is_root()) {
  begin(start);
}

/// Weights, position and files of a new run, or of the one that goes on.
void TrainingRun::begin(setup::Start& start) {
  const Learner::Origin origin = learner_->begin(start.point);
  learner_->check_replicas();
  const bool resumes = origin == Learner::Origin::all;
  store::TrainState saved;  // on rank 0
  if (resumes && start.point.checkpoint) saved = start.point.checkpoint->header().state;
  progress_ = Progress(learner_->steps_done(), total_steps_, saved.since_log_line);

  setup::on_root(*context_, [&] {
    if (resumes) setup::check_same_position(*context_, saved, learner_->position());
    files_.emplace(*context_, *start.lock, static_cast<std::size_t>(config_->model.num_classes),
                   learner_->steps_done());
    stop_decision_.set_time_limit({config_->run.max_time, context_->started_s, *log_});
  });
  log_->info("training on {}", learner_->description());
  if (resumes) log_->info("resuming at step {}", learner_->steps_done());
  if (origin == Learner::Origin::weights) {
    log_->info("starting from the weights of {}", context_->arguments->checkpoint_path);
  }
}

ExitCode TrainingRun::run() {
  if (learner_->steps_done() >= total_steps_) {
    say_finished();
    return ExitCode::done;
  }
  setup::on_root(*context_, [&] { files_->begin(); });
  if (config_->checkpoint.save_initial_checkpoint && learner_->steps_done() == 0) save();
  signals_->catch_all();
  try {
    return train_loop();
  } catch (const Error& error) {
    // Found by all ranks at a step boundary, before anything of this state was saved; what is held is good.
    const bool state_is_bad =
        error.agreed() && (error.code() == ExitCode::diverged || error.code() == ExitCode::communication);
    if (files_ && state_is_bad) files_->abandon();
    throw;
  }
}

ExitCode TrainingRun::train_loop() {
  turn_.lap_s();
  for (bool last = false; !last;) {
    train::StepResult step = learner_->step(requests());
    step.time.files_s = std::exchange(files_s_, 0.0);
    train::Stopwatch watch;
    if (files_ && shows_good_weights(step)) files_->release();
    files_s_ += watch.lap_s();
    if (due(step.step, config_->run.check_replicas_steps)) learner_->check_replicas();
    step.time.exchange_s += watch.lap_s();
    progress_.add(step);
    last = step.step == total_steps_;
    const bool logged = last || due(step.step, config_->run.log_steps);
    record(logged);
    if (logged) log(step.step);
    files_s_ += watch.lap_s();
    if (evaluates_at(step.step)) evaluate();
    watch.lap_s();
    if (step.requests.give_up) setup::on_root(*context_, [&] { throw StoreError(*files_->failure()); });
    save_if_due(step);
    files_s_ += watch.lap_s();
    if (step.requests.stop && !last) return stop();
  }
  return finish();
}

/// At a step boundary: what this rank wants to happen after the next step.
train::Requests TrainingRun::requests() {
  stop_decision_.add_turn(std::exchange(turn_s_, 0.0) + turn_.lap_s());
  train::Requests mine;
  mine.stop = stop_decision_.signal_arrived();
  if (!files_) return mine;
  if (signals_->must_hurry()) log_->set_level(spdlog::level::off);  // a print may block until the end
  if (files_->look()) {
    bar_.clear();
    files_->settle();
  }
  mine.save = files_->checkpoint_is_due();
  mine.give_up = files_->failure().has_value();
  const std::int64_t done = learner_->steps_done();
  const bool evaluates_next = evaluates_at(done + 1) || evaluates_at(done + 2);
  const bool time_is_up = stop_decision_.time_is_up(evaluates_next, files_->seconds_to_save());
  mine.stop = mine.stop || time_is_up;
  return mine;
}

/// A metrics row: of every step, or of the mean since the last log line.
void TrainingRun::record(bool logged) {
  if (!files_) return;
  if (config_->run.save_losses) {
    files_->metrics().append(progress_.step_row(files_->elapsed_before_s()));
  } else if (logged) {
    files_->metrics().append(progress_.interval_row(files_->elapsed_before_s()));
  }
}

void TrainingRun::log(std::int64_t step) {
  if (files_) files_->keep_metrics();  // first, so that what is logged is kept
  bar_.clear();
  log_->info("{}", progress_.line());
  bar_.show(step, total_steps_);
  progress_.start_interval();
}

void TrainingRun::evaluate() {
  turn_s_ += turn_.lap_s();
  const train::EvaluationResult result = learner_->evaluate();
  stop_decision_.add_evaluation(turn_.lap_s());
  bar_.clear();
  log_->info("{}", eval_line(learner_->steps_done(), result));
  if (!std::isfinite(result.loss)) {
    throw train::diverged_error(
        fmt::format("step {}: the test loss is {}: training has diverged, these weights are not saved",
                    learner_->steps_done(), result.loss))
        .as_agreed();
  }
  if (!files_) return;
  files_->metrics().append(
      store::EvalRow{learner_->steps_done(), learner_->epoch(), result.loss, result.accuracy,
                     files_->elapsed_before_s() + progress_.total_time().total_s(), result.confusion});
}

/// Whoever stops without a good checkpoint of this step goes on from the one before.
void TrainingRun::save_if_due(const train::StepResult& step) {
  const train::Requests& asked = step.requests;
  const bool last = step.step == total_steps_;
  if (shows_good_weights(step)) {
    if (last || asked.stop || asked.save || due(step.step, config_->checkpoint.checkpoint_steps)) save();
  } else if (last) {  // every rank has the same loss
    throw train::diverged_error(
        fmt::format("step {}, the last one: the loss is {}; these weights are not saved", step.step,
                    step.loss))
        .as_agreed();
  } else if (asked.stop && files_) {
    files_->drop();
  }
}

/// A checkpoint holds the weights of rank 0, from which all ranks go on: never those of a rank that has
/// drifted. They are compared after the copy, so that nothing can happen in between.
void TrainingRun::save() {
  const auto network = learner_->state().gather();
  setup::on_root(*context_, [&] {
    train::check_finite(network->weights, learner_->steps_done());
    store::TrainState position = learner_->position();
    position.since_log_line = progress_.sums();
    files_->hold(position, *network);
  });
  try {
    learner_->check_replicas();
  } catch (const Error&) {
    if (files_) files_->drop();
    throw;
  }
}

/// The checkpoint of this step is held. Nobody leaves before all is durable. What takes long comes last:
/// mpirun gives a run a second.
ExitCode TrainingRun::stop() {
  bar_.clear();
  setup::on_root(*context_, [&] {
    const std::string what = fmt::format("stopped after step {} of {}: {}", learner_->steps_done(),
                                         total_steps_, stop_decision_.reason());
    files_->finish();
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

/// The last step is done, and its checkpoint is held.
ExitCode TrainingRun::finish() {
  train::Stopwatch watch;
  setup::on_root(*context_, [&] {
    files_->finish();
    files_->finish_metrics();
    log_->set_level(log_level_);
  });
  progress_.add_files(files_s_ + watch.lap_s());
  bar_.clear();
  summarise();
  return ExitCode::done;
}

void TrainingRun::summarise() {
  const double peak_bytes = context_->world().max(static_cast<double>(peak_memory_bytes()));
  if (!files_) return;
  const store::EvalRow* last_evaluation = learner_->evaluates() ? &files_->metrics().eval().back() : nullptr;
  for (const std::string& line : done_lines(total_steps_, progress_, peak_bytes, last_evaluation,
                                            store::ModelDir(config_->run.model_dir))) {
    log_->info("{}", line);
  }
}

void TrainingRun::say_finished() {
  log_->info("{}",
             finished_line(learner_->steps_done(), total_steps_, store::ModelDir(config_->run.model_dir)));
  setup::on_root(*context_, [&] { files_->merge_journal(); });
  const auto scored = files_ ? files_->evaluation_of(learner_->steps_done()) : std::nullopt;
  const bool known = context_->world().broadcast(scored.has_value(), 0);
  if (!learner_->evaluates() || learner_->steps_done() == 0) return;
  if (scored) log_->info("its test accuracy is {:.4f}", scored->accuracy);
  if (known) return;
  evaluate();
  setup::on_root(*context_, [&] { files_->metrics().write(); });
}

bool TrainingRun::evaluates_at(std::int64_t step) const {
  return learner_->evaluates() && (step == total_steps_ || due(step, config_->run.eval_frequency));
}

}  // namespace

ExitCode run_training(setup::RunContext& context, StopSignals& signals) {
  const setup::GivenPlan given = setup::read_given_plan(context);
  setup::Start start(context);
  setup::settle_arithmetic(context, start.point);
  const train::Shapes shapes = setup::find_datasets(context);
  const auto execution =
      setup::settle_plan(context, start.point, given, setup::plan_target(context, shapes.train));
  const model::Mlp mlp = setup::make_stage(context, shapes.train.features(), execution);
  const data::EpochPlan plan = setup::make_plan(context, shapes.train);
  setup::check_memory(context, shapes, mlp);
  Learner learner(context, shapes, plan, mlp);
  return TrainingRun(context, signals, learner, start).run();
}

}  // namespace fcmnist::run
