#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/log.hpp"
#include "store/manifest.hpp"

namespace fcmnist::store {

/// One training step, or the mean over the steps since the row before; loss, accuracy over the global batch.
struct TrainRow {
  std::int64_t step = 0;   ///< steps done, from 1
  std::int64_t epoch = 0;  ///< of the step, from 0
  double loss = 0;         ///< mean over samples, nats
  double accuracy = 0;     ///< 0 to 1
  double learning_rate = 0;
  double grad_norm = 0;  ///< 2-norm of the global gradient, before clipping
  double samples_per_s = 0;
  double elapsed_s = 0;   ///< since the start of training, all restarts together
  double compute_s = 0;   ///< of this step on rank 0: forward, loss, backward
  double exchange_s = 0;  ///< ... waiting for other ranks, summing gradients, updating weights
  double data_s = 0;      ///< ... getting the batch
  double files_s = 0;     ///< ... writing checkpoints and metrics
  bool operator==(const TrainRow&) const = default;
};

/// One evaluation of the whole test set.
struct EvalRow {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  double loss = 0;
  double accuracy = 0;
  double elapsed_s = 0;
  std::vector<std::int64_t> confusion;  ///< (classes x classes) samples: row = true label, column = predicted
  bool operator==(const EvalRow&) const = default;
};

/// The metrics of a run: rows in memory, and a file that write() replaces as a whole, so that at any moment
/// the file is complete and readable by any HDF5 program.
class MetricsFile {
 public:
  /// Reads the rows of an existing file, or starts without rows. A file that is damaged, foreign or of
  /// another number of classes is no reason not to train: it is renamed to "<path>.damaged-<n>" with a
  /// warning. Manifest and configuration are those of this start and replace what the file had.
  static MetricsFile open_or_create(const std::filesystem::path& path, std::size_t classes,
                                    std::string config_yaml, Manifest manifest, Logger& log);

  /// Steps are appended in increasing order.
  void append(const TrainRow& row);
  /// An evaluation of the same step as the last one replaces it.
  void append(const EvalRow& row);
  /// Forgets the rows of later steps: a resume repeats them.
  void truncate_after(std::int64_t step);

  [[nodiscard]] const std::vector<TrainRow>& train() const { return train_; }
  [[nodiscard]] const std::vector<EvalRow>& eval() const { return eval_; }

  /// Replaces the file, durably. Throws StoreError; the file is then as it was and a later write() may
  /// succeed.
  void write() const;

 private:
  MetricsFile(std::filesystem::path path, std::size_t classes, std::string config_yaml, Manifest manifest);
  void read_rows();

  std::filesystem::path path_;
  std::size_t classes_;
  std::string config_yaml_;
  Manifest manifest_;
  std::vector<TrainRow> train_;
  std::vector<EvalRow> eval_;
};

}  // namespace fcmnist::store
