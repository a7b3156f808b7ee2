#include "store/metrics_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <system_error>

#include "store/hdf5.hpp"
#include "store/root_attributes.hpp"
#include "store/sealed_file.hpp"
#include "store/write_file.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t chunk_rows = 1024;

void label(const hdf5::Group& group, const char* dataset, const char* units, const char* long_name) {
  group.set_on(dataset, "units", std::string(units));
  group.set_on(dataset, "long_name", std::string(long_name));
}

/// `step` becomes the coordinate of the other columns, so that xarray and ncview index by it.
template <class Row>
void write_table(const hdf5::Group& group, const std::vector<Row>& rows) {
  for_each_column(static_cast<const Row*>(nullptr),
                  [&](const char* name, auto member, const char* units, const char* text) {
                    std::vector<std::decay_t<decltype(std::declval<Row>().*member)>> column;
                    column.reserve(rows.size());
                    for (const Row& row : rows) column.push_back(row.*member);
                    group.write_extendible(name, {rows.size()}, column.data(), chunk_rows);
                    label(group, name, units, text);
                    if (std::string_view(name) == "step") {
                      group.make_scale(name);
                    } else {
                      group.attach_scale(name, "step", 0);
                    }
                  });
}

std::size_t column_length(const hdf5::Group& group, const char* name) {
  const hdf5::Shape shape = group.shape(name);
  return shape.empty() ? 0 : shape.front();  // of another shape: reading it will say so
}

/// Columns that files written before version 0.2.0 may lack.
bool came_later(std::string_view column) {
  constexpr std::string_view columns[] = {"skipped", "bubble_fraction"};
  return std::ranges::find(columns, column) != std::end(columns);
}

template <class Row>
std::vector<Row> read_table(const hdf5::Group& group) {
  std::vector<Row> rows;
  for_each_column(static_cast<const Row*>(nullptr),
                  [&](const char* name, auto member, const char*, const char*) {
                    if (std::string_view(name) == "step") rows.resize(column_length(group, name));
                    if (came_later(name) && !group.has(name)) return;
                    std::vector<std::decay_t<decltype(std::declval<Row>().*member)>> column(rows.size());
                    group.read(name, {rows.size()}, column.data());
                    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].*member = column[i];
                  });
  return rows;
}

std::string busy_column(std::size_t stage) { return fmt::format("stage{}_busy_s", stage); }

/// A column for each stage that any row has; NaN in the others.
void write_stages(const hdf5::Group& group, const std::vector<TrainRow>& rows) {
  std::size_t stages = 0;
  for (const TrainRow& row : rows) stages = std::max(stages, row.stage_busy_s.size());
  for (std::size_t s = 0; s < stages; ++s) {
    std::vector<double> column(rows.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (s < rows[i].stage_busy_s.size()) column[i] = rows[i].stage_busy_s[s];
    }
    const std::string name = busy_column(s);
    group.write_extendible(name, {rows.size()}, column.data(), chunk_rows);
    label(group, name.c_str(), "s",
          fmt::format("time that stage {} of rank 0's replica was busy; NaN where there was no such stage", s)
              .c_str());
    group.attach_scale(name, "step", 0);
  }
}

void read_stages(const hdf5::Group& group, std::vector<TrainRow>& rows) {
  std::vector<double> column(rows.size());
  for (std::size_t s = 0; group.has(busy_column(s)); ++s) {
    group.read(busy_column(s), {rows.size()}, column.data());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!std::isnan(column[i])) rows[i].stage_busy_s.push_back(column[i]);
    }
  }
}

void write_confusion(const hdf5::Group& group, const std::vector<EvalRow>& rows, std::size_t classes) {
  std::vector<std::int64_t> labels(classes);
  std::iota(labels.begin(), labels.end(), 0);
  for (const char* name : {"true_class", "predicted_class"}) {
    group.write(name, {classes}, labels.data());
    group.make_scale(name);
  }
  label(group, "true_class", "1", "class that the sample is labelled with");
  label(group, "predicted_class", "1", "class that the model gives it");

  std::vector<std::int64_t> all;
  for (const EvalRow& row : rows) all.insert(all.end(), row.confusion.begin(), row.confusion.end());
  group.write_extendible("confusion", {rows.size(), classes, classes}, all.data(), /*chunk_rows=*/8);
  label(group, "confusion", "1", "number of evaluated samples by true and predicted class");
  group.attach_scale("confusion", "step", 0);
  group.attach_scale("confusion", "true_class", 1);
  group.attach_scale("confusion", "predicted_class", 2);
}

void read_confusion(const hdf5::Group& group, std::vector<EvalRow>& rows, std::size_t classes) {
  const std::size_t count = classes * classes;
  std::vector<std::int64_t> all(rows.size() * count);
  group.read("confusion", {rows.size(), classes, classes}, all.data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto one = std::span(all).subspan(i * count, count);
    rows[i].confusion.assign(one.begin(), one.end());
  }
}

/// Rows are in the order of their steps, so this costs no more than what it removes.
template <class Row>
void forget_after(std::vector<Row>& rows, std::int64_t step) {
  while (!rows.empty() && rows.back().step > step) rows.pop_back();
}

void set_aside(const fs::path& path, const Error& why, Logger& log) {
  log.warn("{}; it is now called {}, and the metrics begin anew", why.what(),
           rename_damaged(path).filename().string());
}

}  // namespace

MetricsFile::MetricsFile(fs::path path, std::size_t classes, std::string config_yaml, Manifest manifest)
    : path_(std::move(path)),
      classes_(classes),
      config_yaml_(std::move(config_yaml)),
      manifest_(std::move(manifest)),
      journal_(fs::path(path_).replace_extension(".journal"), classes) {}

MetricsFile MetricsFile::open_or_create(const fs::path& path, std::size_t classes, std::string config_yaml,
                                        Manifest manifest, Logger& log) {
  MetricsFile file(path, classes, std::move(config_yaml), std::move(manifest));
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

std::int64_t MetricsFile::read_rows() {
  const std::vector<std::byte> bytes = read_sealed(path_, FileKind::metrics);
  try {
    const hdf5::Group root = hdf5::File::open(path_.string(), bytes).root();
    std::vector<TrainRow> train = read_table<TrainRow>(root.group("train"));
    read_stages(root.group("train"), train);
    std::vector<EvalRow> eval = read_table<EvalRow>(root.group("eval"));
    read_confusion(root.group("eval"), eval, classes_);
    const std::int64_t known = root.has_attribute(journal_records)
                                   ? read_attribute<std::int64_t>(root, journal_records)
                                   : 0;  // written before there was a journal
    train_ = std::move(train);
    eval_ = std::move(eval);
    return known;
  } catch (const StoreError& why) {
    throw UnusableFileError(why.what());  // intact, but its content is not that of this run
  }
}

void MetricsFile::apply(const TrainRow& row) {
  forget_after(train_, row.step - 1);
  train_.push_back(row);
}

void MetricsFile::apply(const EvalRow& row) {
  forget_after(eval_, row.step - 1);
  eval_.push_back(row);
}

void MetricsFile::apply(const ForgetAfter& entry) {
  forget_after(train_, entry.step);
  forget_after(eval_, entry.step);
}

void MetricsFile::append(const TrainRow& row) {
  FCMNIST_CHECK(train_.empty() || train_.back().step < row.step,
                fmt::format("step {} after step {}", row.step, train_.back().step));
  train_.push_back(row);
  journal_.add(row);
}

void MetricsFile::append(const EvalRow& row) {
  FCMNIST_CHECK(eval_.empty() || eval_.back().step <= row.step,
                fmt::format("step {} after step {}", row.step, eval_.back().step));
  FCMNIST_CHECK(row.confusion.size() == classes_ * classes_,
                fmt::format("{} numbers, {} classes", row.confusion.size(), classes_));
  if (!eval_.empty() && eval_.back().step == row.step) eval_.pop_back();
  eval_.push_back(row);
  journal_.add(row);
}

void MetricsFile::truncate_after(std::int64_t step) {
  const bool later =
      (!train_.empty() && train_.back().step > step) || (!eval_.empty() && eval_.back().step > step);
  if (!later) return;
  apply(ForgetAfter{step});
  journal_.add(ForgetAfter{step});
}

MetricsImage MetricsFile::image() const {
  const hdf5::File file = hdf5::File::create(path_.string());
  const hdf5::Group root = file.root();
  write_root_attributes(root, FileKind::metrics, config_yaml_, manifest_);
  root.set(journal_records, journal_.newest());
  const hdf5::Group train = root.create_group("train");
  write_table(train, train_);
  write_stages(train, train_);
  const hdf5::Group eval = root.create_group("eval");
  write_table(eval, eval_);
  write_confusion(eval, eval_, classes_);
  return {file.bytes(), journal_.newest()};
}

void MetricsFile::image_is_durable(const MetricsImage& image) { journal_.cut(image.records); }

void MetricsFile::write() {
  MetricsImage whole = image();
  write_sealed(path_, FileKind::metrics, whole.bytes);
  image_is_durable(whole);
}

}  // namespace fcmnist::store
