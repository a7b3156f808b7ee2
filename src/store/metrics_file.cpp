#include "store/metrics_file.hpp"

#include <fmt/format.h>

#include <system_error>

#include "store/hdf5.hpp"
#include "store/metrics_tables.hpp"
#include "store/root_attributes.hpp"
#include "store/sealed_file.hpp"
#include "store/write_file.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

/// Removes the rows of later steps. They are the last ones, so this takes no longer than there are rows to
/// remove.
template <class Row>
void forget_after(std::vector<Row>& rows, std::int64_t step) {
  while (!rows.empty() && rows.back().step > step) rows.pop_back();
}

void set_aside(const fs::path& path, const Error& why, Logger& log) {
  log.warn("{}; it is now called {}, and the metrics begin anew", why.what(),
           rename_damaged(path).filename().string());
}

}  // namespace

MetricsFile::MetricsFile(fs::path path, MetricsSubject subject, std::string config_yaml, Manifest manifest)
    : path_(std::move(path)),
      subject_(std::move(subject)),
      config_yaml_(std::move(config_yaml)),
      manifest_(std::move(manifest)),
      journal_(fs::path(path_).replace_extension(".journal"), subject_.classes) {}

MetricsFile MetricsFile::open_or_create(const fs::path& path, MetricsSubject subject, std::string config_yaml,
                                        Manifest manifest, Logger& log) {
  MetricsFile file(path, std::move(subject), std::move(config_yaml), std::move(manifest));
  std::int64_t known = 0;
  std::error_code error;
  if (fs::exists(path, error) || error) {
    try {
      known = file.read_rows();
    } catch (const UnusableFileError& why) {
      set_aside(path, why, log);
    }
  }
  for (const JournalEntry& entry : file.journal_.read(known, log)) {
    std::visit([&](const auto& what) { file.apply(what); }, entry);
  }
  return file;
}

std::optional<MetricsFile> MetricsFile::read(const fs::path& path, std::size_t classes) {
  std::error_code unknown;
  if (!fs::exists(path, unknown)) return std::nullopt;
  MetricsFile file(path, classes, "", {});
  file.read_rows();
  return file;
}

std::int64_t MetricsFile::read_rows() {
  const std::vector<std::byte> bytes = read_sealed(path_, FileKind::metrics);
  try {
    const hdf5::Group root = hdf5::File::open(path_.string(), bytes).root();
    std::vector<TrainRow> train = read_train_table(root.group("train"));
    std::vector<EvalRow> eval = read_eval_table(root.group("eval"), subject_.classes);
    const std::int64_t known = root.has_attribute(journal_records)
                                   ? read_attribute<std::int64_t>(root, journal_records)
                                   : 0;  // releases without a journal wrote none
    ranks_ = read_rank_tables(root);
    arrays_ = read_array_table(root);
    const auto read_scores = [&](const char* table) {
      return root.has(table) ? read_eval_table(root.group(table), subject_.classes) : std::vector<EvalRow>();
    };
    validation_ = read_scores("validation");
    eval_trained_ = read_scores("eval_trained");
    train_ = std::move(train);
    eval_ = std::move(eval);
    return known;
  } catch (const StoreError& why) {
    throw UnusableFileError(why.what());  // the file is intact, but it does not fit this run
  }
}

void MetricsFile::apply(const TrainRow& row) {
  forget_after(train_, row.step - 1);
  train_.push_back(row);
}

void MetricsFile::apply(const EvalRow& row) {
  forget_after(eval_, row.step - 1);
  eval_.push_back(row);
  drop_old_predictions();
}

void MetricsFile::apply(const RankRow& row) {
  forget_after(ranks_, row.step - 1);
  ranks_.push_back(row);
  thin_out_ranks();
}

void MetricsFile::apply(const ArrayRow& row) {
  forget_after(arrays_, row.step - 1);
  arrays_.push_back(row);
}

void MetricsFile::apply(const ValidationRow& row) {
  forget_after(validation_, row.scores.step - 1);
  validation_.push_back(row.scores);
}

void MetricsFile::apply(const TrainedRow& row) {
  forget_after(eval_trained_, row.scores.step - 1);
  eval_trained_.push_back(row.scores);
}

/// The file is built in memory, and the loop waits for it.
void MetricsFile::drop_old_predictions() {
  std::size_t bytes = 0;
  for (auto row = eval_.rbegin(); row != eval_.rend() && !row->predicted.empty(); ++row) {
    bytes += row->predicted.size();
    if (bytes > most_predicted_bytes) row->predicted = {};
  }
}

void MetricsFile::thin_out_ranks() {
  if (ranks_.size() * ranks_.back().ranks.size() <= most_rank_times) return;
  for (std::size_t kept = 0; 2 * kept + 1 < ranks_.size(); ++kept)
    ranks_[kept] = std::move(ranks_[2 * kept + 1]);
  ranks_.resize(ranks_.size() / 2);
}

void MetricsFile::apply(const ForgetAfter& entry) {
  forget_after(arrays_, entry.step);
  forget_after(ranks_, entry.step);
  forget_after(train_, entry.step);
  forget_after(eval_, entry.step);
  forget_after(validation_, entry.step);
  forget_after(eval_trained_, entry.step);
}

void MetricsFile::append(const TrainRow& row) {
  FCMNIST_CHECK(train_.empty() || train_.back().step < row.step,
                fmt::format("step {} after step {}", row.step, train_.back().step));
  train_.push_back(row);
  journal_.add(row);
}

void MetricsFile::append(const RankRow& row) {
  FCMNIST_CHECK(ranks_.empty() || ranks_.back().step < row.step,
                fmt::format("step {} after step {}", row.step, ranks_.back().step));
  ranks_.push_back(row);
  thin_out_ranks();
  journal_.add(row);
}

void MetricsFile::append(const ArrayRow& row) {
  FCMNIST_CHECK(arrays_.empty() || arrays_.back().step < row.step,
                fmt::format("step {} after step {}", row.step, arrays_.back().step));
  arrays_.push_back(row);
  journal_.add(row);
}

void MetricsFile::append(const EvalRow& row) {
  check_follows(eval_, row);
  apply(row);
  journal_.add(row);
}

void MetricsFile::append(const ValidationRow& row) {
  check_follows(validation_, row.scores);
  apply(row);
  journal_.add(row);
}

void MetricsFile::append(const TrainedRow& row) {
  check_follows(eval_trained_, row.scores);
  apply(row);
  journal_.add(row);
}

void MetricsFile::check_follows(const std::vector<EvalRow>& rows, const EvalRow& row) const {
  FCMNIST_CHECK(rows.empty() || rows.back().step <= row.step,
                fmt::format("step {} after step {}", row.step, rows.back().step));
  FCMNIST_CHECK(row.confusion.size() == subject_.classes * subject_.classes,
                fmt::format("{} numbers, {} classes", row.confusion.size(), subject_.classes));
}

void MetricsFile::truncate_after(std::int64_t step) {
  const auto has_later = [&](const auto& rows) { return !rows.empty() && rows.back().step > step; };
  if (!has_later(train_) && !has_later(eval_) && !has_later(validation_) && !has_later(eval_trained_) &&
      !has_later(ranks_) && !has_later(arrays_))
    return;
  apply(ForgetAfter{step});
  journal_.add(ForgetAfter{step});
}

MetricsImage MetricsFile::image() const {
  const hdf5::File file = hdf5::File::create(path_.string());
  const hdf5::Group root = file.root();
  write_root_attributes(root, FileKind::metrics, config_yaml_, manifest_);
  root.set(journal_records, journal_.newest());
  root.set("NX_class", std::string("NXroot"));
  root.set("default", std::string(train_.empty() ? "eval" : "train"));
  write_table(root.create_group("train"), train_, subject_.arrays);
  write_table(root.create_group("eval"), eval_, subject_.classes);
  if (!validation_.empty()) write_table(root.create_group("validation"), validation_, subject_.classes);
  if (!eval_trained_.empty()) write_table(root.create_group("eval_trained"), eval_trained_, subject_.classes);
  write_rank_tables(root, ranks_, subject_);
  write_array_table(root, arrays_, subject_.arrays);
  return {file.image(), journal_.newest()};
}

void MetricsFile::image_is_durable(const MetricsImage& image) { journal_.cut(image.records); }

void MetricsFile::write() {
  MetricsImage whole = image();
  write_sealed(path_, FileKind::metrics, whole.bytes);
  image_is_durable(whole);
}

}  // namespace fcmnist::store
