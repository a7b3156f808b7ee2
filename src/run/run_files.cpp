#include "run/run_files.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>
#include <system_error>
#include <utility>

#include "core/memory_limits.hpp"
#include "store/sealed_file.hpp"
#include "store/write_file.hpp"

namespace fcmnist::run {

namespace {

// The metrics file is written as a whole. It is written seldom enough to cost next to nothing, however long it
// has become.
constexpr double metrics_write_share = 0.02;

/// Whether the rows cover all steps from the first one to `step`. They do not begin there if the run began at a
/// checkpoint of another one or lost its metrics, and do not end there if only logged steps have rows.
bool cover_all_steps(const std::vector<store::TrainRow>& rows, std::int64_t step) {
  if (rows.empty() || rows.back().step != step) return step == 0;
  // The first row has a mean over its steps of what is added up in elapsed_s.
  const store::TrainRow& first = rows.front();
  const double step_s = first.compute_s + first.exchange_s + first.data_s + first.files_s;
  return step_s > 0.0 && std::llround(first.elapsed_s / step_s) == first.step;
}

/// Calls `action`. If the system gives it no memory or no thread, that is a file that cannot be written, as when the
/// disk is full.
template <class Action>
void as_store_error(Action action) {
  try {
    action();
  } catch (const std::bad_alloc&) {
    throw StoreError(out_of_memory("no memory to write a file").what());
  } catch (const std::system_error& error) {
    throw StoreError(fmt::format("cannot write a file: {}", error.what()));
  }
}

/// Throws std::bad_alloc unless there is memory for the image of a checkpoint and the copy of it that HDF5 makes first.
/// HDF5 1.10 does not survive that there is none: it ends in a segmentation fault.
void check_room_for_image(const train::ModelState::Network& network) {
  const std::size_t numbers = network.weights.all().size() * (1 + network.optimizer.size());
  constexpr std::size_t besides = std::size_t{8} << 20;
  if (!can_allocate(2 * numbers * sizeof(float) + besides)) throw std::bad_alloc();
}

/// Opens the metrics, when everything is out of their way.
store::MetricsFile open_metrics(const RunFiles::Run& run, std::int64_t step, Logger& log) {
  const store::ModelDir model_dir(run.model_dir);
  for (const std::string& name : store::remove_stale_temporaries(run.model_dir)) {
    log.info("removed {}, left by a run that died while writing it", name);
  }
  if (run.restart) {
    if (const auto place = model_dir.move_aside()) {
      log.info("--restart: the files of the old run are now in {}", place->string());
    }
  }
  model_dir.set_damaged_aside(step, log);
  return store::MetricsFile::open_or_create(model_dir.metrics_file(), run.subject, run.config_yaml,
                                            run.manifest, log);
}

}  // namespace

RunFiles::RunFiles(Run run, std::int64_t step, store::ModelDirLock& lock, Logger& log)
    : run_(std::move(run)),
      lock_(&lock),
      log_(&log),
      model_dir_(run_.model_dir),
      metrics_(open_metrics(run_, step, log)) {
  store::write_atomically(model_dir_.params_file(), run_.config_yaml);
  metrics_.truncate_after(step);
  name_best(best_checkpoint());  // the process before may have died before it did
  if (!metrics_.train().empty()) elapsed_before_s_ = metrics_.train().back().elapsed_s;
  if (cover_all_steps(metrics_.train(), step)) elapsed_of_all_before_s_ = elapsed_before_s_;
}

void RunFiles::write_first_metrics() {
  metrics_.write();
  std::error_code absent;
  std::filesystem::remove(model_dir_.stopped_file(), absent);
  std::filesystem::remove(model_dir_.predictions_file(), absent);
}

bool RunFiles::file_is_done() const {
  return writing_ && writing_->result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

bool RunFiles::checkpoint_is_due() const {
  const double age_s = comm::now_s() - last_save_s_;
  const double interval_s = run_.checkpoint.checkpoint_interval_s;
  return (interval_s > 0.0 && age_s >= interval_s) || (failures_in_a_row_ > 0 && age_s >= retry_after_s);
}

void RunFiles::keep_metrics() {
  try {
    metrics_.journal();
    journal_failed_ = false;
  } catch (const StoreError& error) {
    if (!std::exchange(journal_failed_, true)) log_->warn("{}; tried again later", error.what());
    return;
  }
  const double interval_s =
      std::max(run_.checkpoint.metrics_interval_s, metrics_write_took_s_ / metrics_write_share);
  if (!writing_ && comm::now_s() - last_metrics_write_s_ > interval_s) write_metrics_behind();
}

void RunFiles::write_metrics_behind() {
  const double begun_s = comm::now_s();
  last_metrics_write_s_ = begun_s;
  const auto image = std::make_shared<store::MetricsImage>();
  try {
    as_store_error([&] { *image = metrics_.image(); });
  } catch (const StoreError& error) {
    log_->warn("{}; tried again later", error.what());
    return;
  }
  const auto path = model_dir_.metrics_file();
  start_file([image, path] { store::write_sealed(path, store::FileKind::metrics, image->bytes); },
             [this, image, begun_s] {
               metrics_write_took_s_ = comm::now_s() - begun_s;
               metrics_.image_is_durable(*image);
             },
             [this](const StoreError& error) { log_->warn("{}; tried again later", error.what()); });
}

void RunFiles::hold_checkpoint(const store::TrainState& position, const train::ModelState::Network& network) {
  if (held_ && held_->is_good) {  // the disk is slower than checkpoints come
    wait_for_file();
    start_held_checkpoint();
  }
  const store::CheckpointHeader header{position, evaluation_of(position.step), run_.config_yaml,
                                       run_.manifest};
  last_save_s_ = comm::now_s();
  held_.reset();
  not_held_.reset();
  try {
    as_store_error([&] {
      check_room_for_image(network);
      held_ = Image{position.step,
                    store::checkpoint_image(model_dir_.checkpoint_file(position.step), header,
                                            network.weights, network.optimizer),
                    last_save_s_};
    });
  } catch (const StoreError& error) {
    not_held_ = error;
    checkpoint_failed(position.step, error);
  }
}

void RunFiles::release_checkpoint() {
  if (!held_) return;
  held_->is_good = true;
  if (!writing_) start_held_checkpoint();
}

void RunFiles::start_held_checkpoint() {
  const auto image = std::make_shared<Image>(*std::exchange(held_, std::nullopt));
  try {
    metrics_.journal();
  } catch (const StoreError& error) {
    return checkpoint_failed(image->step, error);
  }
  start_file([this, image, scores = scores_of(metrics_.validation())] { write_checkpoint(*image, scores); },
             [this, image] { checkpoint_succeeded(*image); },
             [this, image](const StoreError& error) { checkpoint_failed(image->step, error); });
}

/// Writes the metrics first, so that a checkpoint never knows more than they do, and deletes old checkpoints when
/// the new one is durable. Runs in a thread beside the loop.
void RunFiles::write_checkpoint(Image& image, const std::vector<Score>& scores) const {
  metrics_.sync_journal();
  store::write_sealed(model_dir_.checkpoint_file(image.step), store::FileKind::checkpoint, image.bytes);
  try {
    const std::optional<std::int64_t> best = best_step(scores, model_dir_.checkpoint_steps());
    name_best(best);
    model_dir_.prune(run_.checkpoint.keep_checkpoints, best, *log_);
  } catch (const StoreError& error) {
    log_->warn("old checkpoints are not deleted: {}", error.what());
  }
}

std::optional<std::int64_t> RunFiles::best_checkpoint() const {
  return best_step(scores_of(metrics_.validation()), model_dir_.checkpoint_steps());
}

/// Some file systems have no symbolic links.
void RunFiles::name_best(std::optional<std::int64_t> step) const {
  try {
    if (step) model_dir_.name_best(*step);
  } catch (const StoreError& error) {
    log_->warn("checkpoint {} is the best one, but no name says so: {}", *step, error.what());
  }
}

void RunFiles::checkpoint_succeeded(const Image& image) {
  failures_in_a_row_ = 0;
  failure_.reset();
  seconds_to_save_ = std::max(seconds_to_save_, comm::now_s() - image.begun_s);
  log_->info("saved {}", model_dir_.checkpoint_file(image.step).string());
}

void RunFiles::checkpoint_failed(std::int64_t step, const StoreError& error) {
  if (++failures_in_a_row_ >= failures_allowed) {
    failure_ = error;
    return;
  }
  log_->warn("no checkpoint of step {}: {}; tried again in {:.0f} s or at the next checkpoint", step,
             error.what(), retry_after_s);
}

void RunFiles::start_file(std::function<void()> write, std::function<void()> on_success,
                          std::function<void(const StoreError&)> on_failure) {
  wait_for_file();
  try {
    std::future<void> result;
    as_store_error([&] { result = std::async(std::launch::async, std::move(write)); });
    writing_ = Writing{std::move(result), std::move(on_success), std::move(on_failure)};
  } catch (const StoreError& error) {
    on_failure(error);
  }
}

void RunFiles::wait_for_file() {
  if (!writing_) return;
  writing_->result.wait();
  conclude_file();
}

void RunFiles::conclude_file() {
  Writing writing = *std::exchange(writing_, std::nullopt);
  try {
    as_store_error([&] { writing.result.get(); });
    writing.on_success();
  } catch (const StoreError& error) {
    writing.on_failure(error);
  }
}

void RunFiles::write_held_checkpoint() {
  if (not_held_) throw StoreError(*not_held_);
  if (held_) {
    // This does not wait for a metrics file that is being written, since mpirun gives a run a second to end.
    Image image = *std::exchange(held_, std::nullopt);
    metrics_.journal();
    write_checkpoint(image, scores_of(metrics_.validation()));
    checkpoint_succeeded(image);
  }
}

void RunFiles::finish_metrics() {
  wait_for_file();
  name_best(
      best_checkpoint());  // a file that was being written beside the last one did not know its validation
  metrics_.write();
  if (!predictions_) return;
  const auto path = model_dir_.predictions_file();
  store::write_sealed(path, store::FileKind::predictions,
                      store::predictions_image(path, *predictions_, run_.config_yaml, run_.manifest));
}

void RunFiles::write_trace(const store::Trace& trace) {
  const auto path = model_dir_.trace_file();
  const auto image = std::make_shared<std::vector<std::byte>>();
  const auto warn = [this](const StoreError& error) { log_->warn("no trace: {}", error.what()); };
  try {
    as_store_error([&] { *image = store::trace_image(path, trace, run_.config_yaml, run_.manifest); });
  } catch (const StoreError& error) {
    return warn(error);
  }
  start_file([image, path] { store::write_sealed(path, store::FileKind::trace, *image); },
             [this, path] { log_->info("saved {}", path.string()); }, warn);
}

void RunFiles::merge_journal() {
  std::error_code absent;
  std::filesystem::remove(model_dir_.stopped_file(), absent);
  if (std::filesystem::exists(model_dir_.journal_file(), absent)) metrics_.write();
}

void RunFiles::abandon_run() {
  wait_for_file();
  if (held_ && held_->is_good) {
    start_held_checkpoint();
    wait_for_file();
  } else if (held_) {
    log_->info("no checkpoint of step {}: the step after it was not finite", held_->step);
  }
  try {
    metrics_.write();
  } catch (const StoreError& error) {
    log_->warn("{}", error.what());
  }
}

void RunFiles::write_stopped(std::string_view why) {
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  store::write_atomically(
      model_dir_.stopped_file(),
      fmt::format("{}, at {:%Y-%m-%dT%H:%M:%SZ}.\nThe same command goes on from the newest "
                  "checkpoint. This file goes away when it does.\n",
                  why, fmt::gmtime(now)));
}

std::optional<store::Evaluation> RunFiles::evaluation_of(std::int64_t step) const {
  const auto& evaluations = metrics_.eval();
  if (evaluations.empty() || evaluations.back().step != step) return std::nullopt;
  return store::Evaluation{evaluations.back().loss, evaluations.back().accuracy};
}

}  // namespace fcmnist::run
