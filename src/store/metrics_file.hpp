#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/log.hpp"
#include "store/manifest.hpp"
#include "store/metrics_journal.hpp"
#include "store/metrics_rows.hpp"
#include "store/rank_rows.hpp"

namespace fcmnist::store {

/// A metrics file that is not written yet.
struct MetricsImage {
  std::vector<std::byte> bytes;  ///< for write_sealed(path, FileKind::metrics, bytes)
  std::int64_t records = 0;      ///< number of the newest journal record whose content the image has
};

/// The metrics of a run. Their rows are in memory. Now and then the whole file is replaced, so that it is
/// complete at any moment and any HDF5 program can read it. In between, new rows go to a journal beside it
/// ("<name>.journal"), which open_or_create() and scripts/fcmnist_analysis/files.py merge with the file.
///
/// Replacing the file takes three steps, so that the slow one can happen in another thread: image(),
/// write_sealed() of its bytes, image_is_durable(). A process may die at any moment: file and journal
/// together always give every row that was journaled, once.
class MetricsFile {
 public:
  static constexpr std::size_t most_predicted_bytes = std::size_t{64} << 20;
  static constexpr std::size_t most_rank_times = std::size_t{2} << 20;

  /// Reads the rows of an existing file and journal, or starts without rows. A file or journal that is
  /// damaged, foreign or of another number of classes is no reason not to train: it is renamed to
  /// "<path>.damaged-<n>" with a warning. Of a torn journal, the intact beginning is used. The manifest and
  /// the configuration of this start replace those of the file.
  static MetricsFile open_or_create(const std::filesystem::path& path, MetricsSubject subject,
                                    std::string config_yaml, Manifest manifest, Logger& log);
  /// The rows of an existing file, without those of its journal, to look at: nothing is renamed or written. Nothing if
  /// there is no file. Throws StoreError if it is damaged, foreign or of another number of classes.
  static std::optional<MetricsFile> read(const std::filesystem::path& path, std::size_t classes);
  /// Starts without rows, whatever is there. For image().
  static MetricsFile without_rows(const std::filesystem::path& path, MetricsSubject subject,
                                  std::string config_yaml, Manifest manifest) {
    return {path, std::move(subject), std::move(config_yaml), std::move(manifest)};
  }

  /// Steps are appended in increasing order.
  void append(const TrainRow& row);
  /// An evaluation of the same step as the last one replaces it. The newest keep their predictions, so many
  /// that these take at most most_predicted_bytes.
  void append(const EvalRow& row);
  /// In increasing order of their steps, as the others; an equal one is replaced.
  void append(const ValidationRow& row);
  void append(const TrainedRow& row);
  /// As the first. Beyond most_rank_times numbers, every second row is left out.
  void append(const RankRow& row);
  void append(const ArrayRow& row);
  /// Forgets the rows of later steps, which a resume repeats. The files have these rows until the next
  /// journal() or write().
  void truncate_after(std::int64_t step);

  [[nodiscard]] const std::vector<TrainRow>& train() const { return train_; }
  [[nodiscard]] const std::vector<EvalRow>& eval() const { return eval_; }
  [[nodiscard]] const std::vector<EvalRow>& validation() const { return validation_; }
  [[nodiscard]] const std::vector<EvalRow>& eval_trained() const { return eval_trained_; }
  [[nodiscard]] const std::vector<RankRow>& ranks() const { return ranks_; }
  [[nodiscard]] const std::vector<ArrayRow>& arrays() const { return arrays_; }

  /// Appends the new rows to the journal, in one write, without waiting for the disk. From then on they
  /// survive the death of this process. Throws StoreError (for example if the disk is full); the journal is
  /// then as it was, and the next call tries the same rows again.
  void journal() { journal_.append(); }
  /// Waits until the journal is on the disk. From then on its rows survive the death of the machine. Another
  /// thread may call it while one uses the other functions. Throws StoreError.
  void sync_journal() const { journal_.sync(); }

  /// The bytes of the file with all rows so far. It takes milliseconds.
  [[nodiscard]] MetricsImage image() const;
  /// Call this when write_sealed() of an image has returned. It cuts the rows that the file now has from the
  /// journal, without waiting for the disk: rows that came after the image are no longer synced. Only
  /// `records` of the image is used; the bytes may be gone. Throws StoreError; a journal that is too long
  /// does no harm.
  void image_is_durable(const MetricsImage& image);
  /// Does the three steps at once. Throws StoreError; the file is then as it was, and a later write() may
  /// succeed.
  void write();

 private:
  MetricsFile(std::filesystem::path path, MetricsSubject subject, std::string config_yaml, Manifest manifest);
  /// Returns the number of the newest journal record whose content is in the file.
  std::int64_t read_rows();
  /// Apply an entry of the journal. If two entries contradict each other, the later one is right.
  void apply(const TrainRow& row);
  void apply(const EvalRow& row);
  void apply(const RankRow& row);
  void apply(const ArrayRow& row);
  void apply(const ValidationRow& row);
  void apply(const TrainedRow& row);
  void check_follows(const std::vector<EvalRow>& rows, const EvalRow& row) const;
  void drop_old_predictions();
  void thin_out_ranks();
  void apply(const ForgetAfter& entry);

  std::filesystem::path path_;
  MetricsSubject subject_;
  std::string config_yaml_;
  Manifest manifest_;
  std::vector<TrainRow> train_;
  std::vector<EvalRow> eval_;
  std::vector<EvalRow> validation_;
  std::vector<EvalRow> eval_trained_;
  std::vector<RankRow> ranks_;
  std::vector<ArrayRow> arrays_;
  MetricsJournal journal_;
};

}  // namespace fcmnist::store
