#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/clock.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "run/best_score.hpp"
#include "store/checkpoint.hpp"
#include "store/manifest.hpp"
#include "store/metrics_file.hpp"
#include "store/model_dir.hpp"
#include "store/model_dir_lock.hpp"
#include "store/options.hpp"
#include "store/predictions_file.hpp"
#include "store/trace_file.hpp"
#include "train/model_state.hpp"

namespace fcmnist::run {

/// The files of a training run in its model_dir. Rank 0 alone has them.
///
/// Files are written behind the loop, one at a time: HDF5 builds an image in memory on the thread of the
/// loop, and a thread that touches neither HDF5 nor MPI digests it and puts it into place.
///
/// A checkpoint is first held as such an image. The loss of the next step shows whether its weights are good:
/// then it is released, and written as soon as no other file is being written; else it is dropped. A
/// checkpoint that cannot be written is a warning and is tried again, with newer weights. `failures_allowed`
/// in a row, or a failure at the end of the run, are a StoreError.
class RunFiles {
 public:
  static constexpr int failures_allowed = 3;
  static constexpr double retry_after_s = 60.0;

  /// What the files say about their run, and how it keeps them.
  struct Run {
    std::filesystem::path model_dir;
    store::MetricsSubject subject{0};
    store::CheckpointOptions checkpoint;
    std::string config_yaml;
    store::Manifest manifest;
    bool restart = false;  ///< whether an old run in the model_dir is moved aside
  };
  /// Opens the files of a run that stands at `step`: moves an old run aside, puts damaged checkpoints and
  /// left-overs of dead runs out of the way, forgets metrics of later steps, writes params.yaml. Nothing that
  /// the user asked for may be wrong any more when this is called. `lock` and `log` must outlive it. Throws
  /// StoreError.
  RunFiles(Run run, std::int64_t step, store::ModelDirLock& lock, Logger& log);

  /// Before the first step: from here on there are metrics that any HDF5 program can open, and no file says
  /// any more that the run was stopped, or what its last weights predict. Throws StoreError.
  void write_first_metrics();

  [[nodiscard]] store::MetricsFile& metrics() { return metrics_; }
  /// Training time of the processes before this one.
  [[nodiscard]] double elapsed_before_s() const { return elapsed_before_s_; }
  /// The same if it is that of all steps before; nothing if metrics of some of them are not here.
  [[nodiscard]] std::optional<double> elapsed_of_all_before_s() const { return elapsed_of_all_before_s_; }

  /// Throws InUseError if another run has taken the model_dir. Cheap: to be called at every step boundary.
  void check_lock() const { lock_->check(); }
  /// Whether the file that was being written is done or has failed. Cheap, as above. If so, conclude_file()
  /// has something to do.
  [[nodiscard]] bool file_is_done() const;
  /// Says in the log how the file has ended, and remembers it.
  void conclude_file();
  /// Whether it is time for a checkpoint, by runconfig.checkpoint_interval_s or since the last one failed.
  [[nodiscard]] bool checkpoint_is_due() const;
  /// The failure of the last checkpoint that is allowed to fail.
  [[nodiscard]] const std::optional<StoreError>& failure() const { return failure_; }
  /// A guess of how long a checkpoint takes until it is durable, from those of this run.
  [[nodiscard]] double seconds_to_save() const { return seconds_to_save_; }

  /// Appends new metrics to their journal, and now and then writes the metrics file. A failure loses nothing
  /// and is a warning: the next call tries the same rows again.
  void keep_metrics();

  /// Takes the image of a checkpoint. One that was never released gives way to it; one that was is written
  /// first. That there is no memory for it is a failure of this checkpoint.
  void hold_checkpoint(const store::TrainState& position, const train::ModelState::Network& network);
  /// The weights of the checkpoint that is held have proved to be good. Cheap if there is none.
  void release_checkpoint();
  /// They have proved to be bad.
  void drop_checkpoint() { held_.reset(); }
  /// For the end of a run, however early: writes the checkpoint that is held, durably. Throws StoreError.
  void write_held_checkpoint();
  /// What the weights of the last step say about each sample, for finish_metrics().
  void set_predictions(store::Predictions predictions) { predictions_ = std::move(predictions); }
  /// Whether there is an intact file of predictions of these weights.
  [[nodiscard]] bool has_predictions_of(std::int64_t step) const {
    return store::step_of_predictions(model_dir_.predictions_file()) == step;
  }
  /// Writes what the ranks did in some steps, behind the loop. A failure is a warning.
  void write_trace(const store::Trace& trace);
  /// After write_held_checkpoint(): waits for the file that is being written, and writes the metrics and the
  /// predictions. It takes longer the longer the run is, and the journal has the rows too. Throws StoreError.
  void finish_metrics();
  /// For a run that was finished before, or is so by the settings of this start: no file says any more that it was
  /// stopped. If its end could not be written, now it can. Throws StoreError.
  void merge_journal();
  /// For a run that has diverged: writes the checkpoint that is held if it was released, and the metrics.
  void abandon_run();

  /// After write_held_checkpoint(): the file that says that the run is not finished, and how it goes on.
  void write_stopped(std::string_view why);

  /// Accuracy of these weights, if the last evaluation was of this step.
  [[nodiscard]] std::optional<store::Evaluation> evaluation_of(std::int64_t step) const;

 private:
  struct Image {
    std::int64_t step = 0;
    std::vector<std::byte> bytes;
    double begun_s = 0.0;
    bool is_good = false;
  };
  /// A file that is being written.
  struct Writing {
    std::future<void> result;
    std::function<void()> on_success;
    std::function<void(const StoreError&)> on_failure;
  };

  void start_file(std::function<void()> write, std::function<void()> on_success,
                  std::function<void(const StoreError&)> on_failure);
  void wait_for_file();
  void start_held_checkpoint();
  [[nodiscard]] std::optional<std::int64_t> best_checkpoint() const;
  void name_best(std::optional<std::int64_t> step) const;
  void write_checkpoint(Image& image, const std::vector<Score>& scores) const;
  void checkpoint_succeeded(const Image& image);
  void checkpoint_failed(std::int64_t step, const StoreError& error);
  void write_metrics_behind();

  Run run_;
  store::ModelDirLock* lock_;
  Logger* log_;
  store::ModelDir model_dir_;
  store::MetricsFile metrics_;
  double elapsed_before_s_ = 0.0;
  std::optional<double> elapsed_of_all_before_s_;
  std::optional<store::Predictions> predictions_;
  std::optional<Image> held_;
  std::optional<StoreError> not_held_;  ///< why the last checkpoint that was due is not held
  std::optional<StoreError> failure_;
  int failures_in_a_row_ = 0;
  bool journal_failed_ = false;
  double seconds_to_save_ = 0.5;
  double last_save_s_ = comm::now_s();
  double last_metrics_write_s_ = comm::now_s();
  double metrics_write_took_s_ = 0.0;
  std::optional<Writing> writing_;  ///< last, so that its thread ends before what it uses
};

}  // namespace fcmnist::run
