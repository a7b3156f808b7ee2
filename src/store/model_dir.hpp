#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "core/log.hpp"

namespace fcmnist::store {

/// The directory of one run, and the names of what is in it:
///   params.yaml             resolved configuration
///   plan.yaml               what --compile_only has measured; stays when a run is moved aside
///   metrics.h5              see MetricsFile
///   metrics.journal         the rows that are not in metrics.h5 yet; absent when there are none
///   checkpoint_<step>.h5    see Checkpoint
///   evaluation.h5, evaluation_1.h5 ...    what each evaluation of checkpoints found; a MetricsFile
///   predictions.h5          what the last weights of the run say about each sample; see Predictions
///   evaluation_predictions.h5, evaluation_1_predictions.h5 ...    the same of an evaluation
///   predicted.h5, predicted_1.h5 ...    what a network says about images without labels; see Predictions
///   ensemble.h5, ensemble_1.h5 ...    what several networks say together; see Predictions
///   trace.h5                what each rank did in some steps; see Trace
///   STOPPED                 why a run stopped early
///   LOCK                    see ModelDirLock
///   previous_<k>/           what move_aside() put there
class ModelDir {
 public:
  explicit ModelDir(std::filesystem::path path) : path_(std::move(path)) {}

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path params_file() const { return path_ / "params.yaml"; }
  [[nodiscard]] std::filesystem::path plan_file() const { return path_ / "plan.yaml"; }
  [[nodiscard]] std::filesystem::path metrics_file() const { return path_ / "metrics.h5"; }
  [[nodiscard]] std::filesystem::path journal_file() const { return path_ / "metrics.journal"; }
  [[nodiscard]] std::filesystem::path stopped_file() const { return path_ / "STOPPED"; }
  [[nodiscard]] std::filesystem::path lock_file() const { return path_ / "LOCK"; }
  [[nodiscard]] std::filesystem::path checkpoint_file(std::int64_t step) const;
  [[nodiscard]] std::filesystem::path best_checkpoint_file() const { return path_ / "checkpoint_best.h5"; }
  /// evaluation.h5 for n = 0, else evaluation_<n>.h5.
  [[nodiscard]] std::filesystem::path evaluation_file(int n) const;
  [[nodiscard]] std::filesystem::path predictions_file() const { return path_ / "predictions.h5"; }
  /// predicted.h5 for n = 0, else predicted_<n>.h5.
  [[nodiscard]] std::filesystem::path predicted_file(int n) const;
  /// ensemble.h5 for n = 0, else ensemble_<n>.h5.
  [[nodiscard]] std::filesystem::path ensemble_file(int n) const;
  [[nodiscard]] std::filesystem::path trace_file() const { return path_ / "trace.h5"; }
  /// "evaluation_<n>_predictions.h5" beside "evaluation_<n>.h5".
  static std::filesystem::path predictions_file_of(const std::filesystem::path& evaluation_file);
  /// The number behind those of all evaluations that are there, so that the newest one has the largest. Throws
  /// StoreError if the directory cannot be listed.
  [[nodiscard]] int next_evaluation() const;

  /// Creates the directory if needed and proves that files can be written into it. Throws StoreError (a file
  /// in the way, no permission, read-only, full).
  void ensure_writable() const;

  /// The steps of the checkpoints, in increasing order. Only names are looked at: a file may still prove
  /// damaged when it is read. There are none if there is no such directory. Throws StoreError if it cannot be
  /// listed.
  [[nodiscard]] std::vector<std::int64_t> checkpoint_steps() const;

  /// Renames the checkpoints of later steps to "<name>.damaged-<n>", with a warning. A resume has passed them
  /// over because they cannot be read. They must not count as the newest ones when old ones are deleted.
  void set_damaged_aside(std::int64_t after_step, Logger& log) const;

  /// Makes best_checkpoint_file() another name of the checkpoint of this step: a symbolic link, which is
  /// replaced at once. Throws StoreError.
  void name_best(std::int64_t step) const;
  /// Its step; nothing if there is no such link.
  [[nodiscard]] std::optional<std::int64_t> best_checkpoint() const;

  /// Deletes the checkpoints that checkpoints_to_delete() names, oldest first, and returns their steps. A
  /// file that cannot be deleted is a warning: training is not affected.
  std::vector<std::int64_t> prune(int keep, std::optional<std::int64_t> best_step, Logger& log) const;

  /// Moves the files of a run into a new directory previous_<k> inside this one and returns its path. Returns
  /// nothing if there are no such files. Other files stay. Throws StoreError.
  [[nodiscard]] std::optional<std::filesystem::path> move_aside() const;

 private:
  std::filesystem::path path_;
};

/// Which checkpoints may be deleted if the newest `keep` and the best one are kept. `keep` is at least 2, so
/// that a run can resume when the newest one is damaged.
std::vector<std::int64_t> checkpoints_to_delete(std::vector<std::int64_t> steps, int keep,
                                                std::optional<std::int64_t> best_step);

}  // namespace fcmnist::store
