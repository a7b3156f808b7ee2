#include "train/training_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/digest.hpp"
#include "core/error.hpp"
#include "data/epoch_plan.hpp"
#include "train/evaluator.hpp"
#include "train/model_state.hpp"
#include "train/run_files.hpp"
#include "train/run_log.hpp"
#include "train/shared_dataset.hpp"
#include "train/start_point.hpp"
#include "train/trainer.hpp"

namespace fcmnist::train {

namespace {

bool due(std::int64_t step, long every) { return every > 0 && step % every == 0; }

std::int64_t training_length(const config::RunOptions& run, std::uint64_t steps_per_epoch) {
  const std::int64_t by_epochs = run.num_epochs * static_cast<std::int64_t>(steps_per_epoch);
  if (run.max_steps == 0) return by_epochs;
  return run.num_epochs == 0 ? run.max_steps : std::min<std::int64_t>(run.max_steps, by_epochs);
}

/// The data sets that the mode needs; the second only when it is evaluated.
struct Shapes {
  data::DatasetShape train;
  std::optional<data::DatasetShape> eval;
};

Shapes find_datasets(const RunContext& context) {
  Shapes shapes{find_dataset(context.topology, context.config.train_input, *context.log), {}};
  if (context.config.run.mode != config::Mode::train_and_eval) return shapes;
  shapes.eval = find_dataset(context.topology, context.config.eval_input, *context.log);
  comm::collectively(context.world(), [&] {
    if (shapes.eval->features() == shapes.train.features()) return;
    throw DataError(fmt::format("images to train on: {}; images to evaluate on: {}",
                                data::to_string(shapes.train), data::to_string(*shapes.eval)),
                    "train_input.data_dir and eval_input.data_dir must hold images of one size");
  });
  return shapes;
}

data::EpochPlan make_plan(const RunContext& context, const data::DatasetShape& shape) {
  std::optional<data::EpochPlan> plan;
  comm::collectively(context.world(), [&] {
    plan.emplace(shape.samples, step_batch(context.config, context.world().size()),
                 context.config.train_input.drop_last_batch,
                 static_cast<std::uint64_t>(context.config.run.steps_per_epoch));
  });
  return *plan;
}

/// Everything that lives in shared memory must fit, before any of it is made.
void check_memory(const RunContext& context, const Shapes& shapes, const model::Mlp& mlp) {
  constexpr std::size_t small_windows_bytes = std::size_t{64} << 10;  // a rank's barrier, page rounding
  constexpr std::size_t mpi_overhead_bytes = std::size_t{1} << 20;    // a node's headers of Open MPI
  std::size_t bytes =
      comm::GradientExchange::bytes_per_rank(context.topology, mlp.layout(), 0) + small_windows_bytes;
  if (context.topology.is_leader()) {
    bytes += mpi_overhead_bytes + SharedDataset::bytes(shapes.train) +
             ModelState::shared_bytes(context.topology, mlp.layout());
    if (shapes.eval) bytes += SharedDataset::bytes(*shapes.eval);
  }
  comm::check_shared_memory(context.topology, bytes);
}

/// One run: the loop, and what it writes. All ranks walk through it together; rank 0 alone has files.
class TrainingRun {
 public:
  TrainingRun(RunContext& context, const Shapes& shapes, const data::EpochPlan& plan, const model::Mlp& mlp,
              const StartPoint& start);
  void run();

 private:
  void begin(const StartPoint& start);
  void check_position(const store::TrainState& saved) const;
  [[nodiscard]] store::TrainState position() const;
  void train_loop();
  void record(const StepResult& step, bool logged);
  void log(std::int64_t step);
  void evaluate();
  void save();
  void check_weights_finite() const;
  void say_finished();
  void summarise();
  [[nodiscard]] bool evaluates() const { return evaluator_.has_value(); }

  RunContext* context_;
  const config::RunConfig* config_;
  Logger* log_;
  const model::Mlp* mlp_;
  data::DatasetShape train_shape_;
  SharedDataset train_set_;
  std::optional<SharedDataset> eval_set_;
  data::Dataset train_view_, eval_view_;
  data::EpochPlan plan_;
  std::int64_t total_steps_;
  ModelState state_;
  Trainer trainer_;
  std::optional<Evaluator> evaluator_;
  std::optional<RunFiles> files_;  ///< rank 0 only
  Progress progress_;
  ProgressBar bar_;
  double files_s_ = 0.0;  ///< spent on files since the last step
};

TrainingRun::TrainingRun(RunContext& context, const Shapes& shapes, const data::EpochPlan& plan,
                         const model::Mlp& mlp, const StartPoint& start)
    : context_(&context),
      config_(&context.config),
      log_(context.log.get()),
      mlp_(&mlp),
      train_shape_(shapes.train),
      train_set_(context.topology, config_->train_input, shapes.train, config_->model.num_classes),
      train_view_(train_set_.view()),
      plan_(plan),
      total_steps_(training_length(config_->run, plan_.steps_per_epoch())),
      state_(context.topology, mlp),
      trainer_(*config_, context.topology, train_view_, plan_, mlp, state_, total_steps_, context.give_way),
      progress_(0, total_steps_),
      bar_(context.is_root()) {
  if (shapes.eval) {
    eval_set_.emplace(context.topology, config_->eval_input, *shapes.eval, config_->model.num_classes);
    eval_view_ = eval_set_->view();
    evaluator_.emplace(*config_, context.topology, eval_view_, mlp);
  }
  begin(start);
}

/// Weights, position and files of a new run, or of the one that goes on.
void TrainingRun::begin(const StartPoint& start) {
  const store::Checkpoint* checkpoint = start.checkpoint ? &*start.checkpoint : nullptr;
  const std::string from = context_->world().broadcast(checkpoint == nullptr ? "nothing"
                                                       : start.weights_only  ? "weights"
                                                                             : "all",
                                                       0);
  state_.initialize(config_->run.seed);
  if (from == "weights") state_.load_weights(checkpoint);
  if (from == "all") {
    state_.load_weights_and_optimizer(checkpoint);
    const std::int64_t mine = checkpoint != nullptr ? checkpoint->header().state.step : 0;
    trainer_.resume_at(std::stoll(context_->world().broadcast(std::to_string(mine), 0)));
  }
  progress_ = Progress(trainer_.steps_done(), total_steps_);

  on_root(*context_, [&] {
    if (checkpoint != nullptr && !start.weights_only) check_position(checkpoint->header().state);
    files_.emplace(*context_, mlp_->outputs(), trainer_.steps_done());
  });
  log_->info("training on {}, {} steps of {} samples per epoch, {} steps in all",
             data::to_string(train_shape_), plan_.steps_per_epoch(),
             step_batch(*config_, context_->world().size()), total_steps_);
  if (from == "all") log_->info("resuming at step {}", trainer_.steps_done());
  if (from == "weights") log_->info("starting from the weights of {}", context_->arguments->checkpoint_path);
}

void TrainingRun::run() {
  if (trainer_.steps_done() >= total_steps_) return say_finished();
  if (config_->checkpoint.save_initial_checkpoint && trainer_.steps_done() == 0) save();
  try {
    train_loop();
  } catch (const Error& error) {
    if (files_ && error.code() == ExitCode::diverged) files_->keep_metrics();
    throw;
  }
  progress_.add_files(files_s_);
  bar_.clear();
  summarise();
}

void TrainingRun::train_loop() {
  while (trainer_.steps_done() < total_steps_) {
    StepResult step = trainer_.step();
    step.time.files_s = std::exchange(files_s_, 0.0);
    progress_.add(step);
    const bool last = step.step == total_steps_;
    const bool logged = last || due(step.step, config_->run.log_steps);
    Stopwatch watch;
    record(step, logged);
    if (logged) log(step.step);
    files_s_ += watch.lap_s();
    if (evaluates() && (last || due(step.step, config_->run.eval_frequency))) evaluate();
    watch.lap_s();
    if (last || due(step.step, config_->checkpoint.checkpoint_steps)) save();
    files_s_ += watch.lap_s();
  }
}

/// A metrics row: of every step, or of the mean since the last log line.
void TrainingRun::record(const StepResult& step, bool logged) {
  if (!files_ || !(config_->run.save_losses || logged)) return;
  const StepResult row = config_->run.save_losses ? step : progress_.interval();
  const TimeSplit& time = row.time;
  files_->metrics().append(store::TrainRow{
      row.step, row.epoch, row.loss, row.accuracy, row.learning_rate, row.gradient_norm,
      config_->run.save_losses ? static_cast<double>(step.samples) / time.step_s() : progress_.rate(),
      files_->elapsed_before_s() + progress_.total_time().total_s(), time.compute_s, time.exchange_s,
      time.data_s, time.files_s});
}

void TrainingRun::log(std::int64_t step) {
  bar_.clear();
  log_->info("{}", progress_.line());
  bar_.show(step, total_steps_);
  progress_.start_interval();
  if (files_) files_->write_metrics_now_and_then();
}

void TrainingRun::evaluate() {
  const EvaluationResult result = evaluator_->evaluate(state_.weights());
  bar_.clear();
  log_->info("{}", eval_line(trainer_.steps_done(), result));
  if (!std::isfinite(result.loss)) {
    throw DivergedError(
        fmt::format("step {}: the test loss is {}: training has diverged, these weights are not saved",
                    trainer_.steps_done(), result.loss),
        "lower optimizer.learning_rate or set optimizer.max_gradient_norm; the last checkpoint is kept")
        .as_agreed();
  }
  if (!files_) return;
  const auto epoch =
      static_cast<std::int64_t>(plan_.at(static_cast<std::uint64_t>(trainer_.steps_done() - 1)).epoch);
  files_->metrics().append(store::EvalRow{trainer_.steps_done(), epoch, result.loss, result.accuracy,
                                          files_->elapsed_before_s() + progress_.total_time().total_s(),
                                          result.confusion});
}

store::TrainState TrainingRun::position() const {
  const std::int64_t step = trainer_.steps_done();
  const data::StepSamples next = plan_.at(static_cast<std::uint64_t>(step));
  const auto epoch = static_cast<std::int64_t>(next.epoch);
  const auto begin = static_cast<std::int64_t>(next.positions.begin);
  return {step,
          epoch,
          step % static_cast<std::int64_t>(plan_.steps_per_epoch()),
          epoch * static_cast<std::int64_t>(plan_.samples_per_epoch()) + begin,
          config_->run.seed,
          sha256_hex(std::as_bytes(train_view_.labels))};
}

/// The same step must mean the same place in the same data, or the run that goes on is another one.
void TrainingRun::check_position(const store::TrainState& saved) const {
  const store::TrainState now = position();
  if (saved.labels_sha256 != now.labels_sha256) {
    throw DataError(fmt::format("{}: not the training set that the run began with: its labels differ",
                                config_->train_input.data_dir),
                    "point train_input.data_dir to the same data, or use another -o/--model_dir");
  }
  if (saved == now) return;
  throw UsageError(
      fmt::format(
          "step {} was epoch {}, step {} in it, after {} samples; with {} ranks it is epoch {}, step {} "
          "in it, after {} samples",
          now.step, saved.epoch, saved.step_in_epoch, saved.samples_seen, context_->world().size(), now.epoch,
          now.step_in_epoch, now.samples_seen),
      "batch_size_per_replica makes the global batch depend on the number of ranks: resume on as many as "
      "before, or use batch_size");
}

void TrainingRun::check_weights_finite() const {
  const auto finite = [](float w) { return std::isfinite(w); };
  for (const Slot& slot : mlp_->layout().slots()) {
    const auto weights = state_.weights().all().subspan(slot.offset, slot.count());
    if (std::ranges::all_of(weights, finite)) continue;
    throw DivergedError(
        fmt::format("step {}: {} is not finite: training has diverged, these weights are not saved",
                    trainer_.steps_done(), slot.name),
        "lower optimizer.learning_rate or set optimizer.max_gradient_norm; the last checkpoint is kept");
  }
}

void TrainingRun::save() {
  on_root(*context_, [&] {
    check_weights_finite();
    files_->save(position(), state_);
  });
}

void TrainingRun::say_finished() {
  log_->info(
      "the run in {} is finished: {} of {} steps are done; a larger --max_steps or --num_epochs goes on, "
      "--restart starts over",
      config_->run.model_dir, trainer_.steps_done(), total_steps_);
  const auto scored = files_ ? files_->evaluation_of(trainer_.steps_done()) : std::nullopt;
  const std::string known = context_->world().broadcast(scored ? "yes" : "no", 0);
  if (!evaluates() || trainer_.steps_done() == 0) return;
  if (scored) log_->info("its test accuracy is {:.4f}", scored->accuracy);
  if (known == "yes") return;
  evaluate();
  on_root(*context_, [&] { files_->metrics().write(); });
}

void TrainingRun::summarise() {
  const double peak_bytes = context_->world().max(static_cast<double>(peak_memory_bytes()));
  if (!files_) return;
  const TimeSplit& time = progress_.total_time();
  log_->info("done: {} steps in {} of training, {:.0f} samples/s", total_steps_,
             format_duration(time.total_s()), progress_.global_rate());
  log_->info("time of rank 0: {}", format_time_split(time));
  log_->info("peak memory of a rank: {:.0f} MB, data shared by its node included", peak_bytes / 1e6);
  if (evaluates()) {
    const store::EvalRow& last = files_->metrics().eval().back();
    log_->info("test accuracy {:.4f} (error {:.2f} %), loss {:.5f}", last.accuracy,
               100.0 * (1.0 - last.accuracy), last.loss);
  }
  const store::ModelDir model_dir(config_->run.model_dir);
  log_->info("files: {} {} {}", model_dir.checkpoint_file(total_steps_).string(),
             model_dir.metrics_file().string(), model_dir.params_file().string());
}

}  // namespace

void run_training(RunContext& context) {
  StartPoint start;
  on_root(context, [&] { start = find_start_point(context, store::ModelDir(context.config.run.model_dir)); });
  const Shapes shapes = find_datasets(context);
  const model::Mlp mlp(model::widths_of(context.config.model, shapes.train.features()), context.config.model,
                       context.config.kernels.gemm);
  context.log->info("model: {} parameters in {} layers", mlp.layout().parameter_count(), mlp.layer_count());
  const data::EpochPlan plan = make_plan(context, shapes.train);
  check_memory(context, shapes, mlp);
  TrainingRun(context, shapes, plan, mlp, start).run();
}

}  // namespace fcmnist::train
