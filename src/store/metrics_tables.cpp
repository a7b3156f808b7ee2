#include "store/metrics_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>

#include "core/error.hpp"
#include "store/labels.hpp"
#include "store/root_attributes.hpp"

namespace fcmnist::store {

namespace {

constexpr std::size_t chunk_rows = 1024;

/// Lets programs that know NeXus (silx, h5web) plot the loss over the steps when they open the file.
void set_default_plot(const hdf5::Group& group) {
  group.set("NX_class", std::string("NXdata"));
  group.set("signal", std::string("loss"));
  group.set("axes", std::vector<std::string>{"step"});
}

/// `step` becomes the coordinate of the other columns, so that xarray and ncview index by it.
template <class Row>
void write_columns(const hdf5::Group& group, const std::vector<Row>& rows) {
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
  return shape.empty() ? 0 : shape.front();  // if it has another shape, reading it says so
}

/// Whether files that were written before version 0.2.0 may lack a column.
bool came_later(std::string_view column) {
  constexpr std::string_view columns[] = {"skipped", "bubble_fraction", "loss_scale"};
  return std::ranges::find(columns, column) != std::end(columns);
}

template <class Row>
std::vector<Row> read_columns(const hdf5::Group& group) {
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

/// Writes a column for each stage that any row has. It is NaN in the rows that have no such stage.
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
    label(
        group, name, "s",
        fmt::format("time that stage {} of rank 0's replica was busy; NaN where there was no such stage", s));
    group.attach_scale(name, "step", 0);
  }
}

/// Writes a column with a number for each array of the network. Rows without numbers have NaN.
template <class Row>
void write_by_array(const hdf5::Group& group, const std::vector<Row>& rows, std::vector<float> Row::*member,
                    const char* name, std::size_t arrays, const char* long_name) {
  std::vector<float> all(rows.size() * arrays, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::ranges::copy(rows[i].*member, all.begin() + static_cast<std::ptrdiff_t>(i * arrays));
  }
  group.write_extendible(name, {rows.size(), arrays}, all.data(), chunk_rows);
  label(group, name, "1", long_name);
  group.attach_scale(name, "step", 0);
  group.attach_scale(name, "array", 1);
}

void write_array_coordinate(const hdf5::Group& group, std::size_t count,
                            const std::vector<std::string>& names) {
  write_coordinate(group, "array", count,
                   "array of the network: a weight or bias; its attribute names has the names");
  if (names.size() == count && count <= longest_list) group.set_on("array", "names", names);
}

/// The most numbers of a row.
template <class Row>
std::size_t widest(const std::vector<Row>& rows, std::vector<float> Row::*member) {
  std::size_t count = 0;
  for (const Row& row : rows) count = std::max(count, (row.*member).size());
  return count;
}

/// Rows of NaN have no numbers.
template <class Row>
void read_by_array(const hdf5::Group& group, const char* name, std::vector<float> Row::*member,
                   std::vector<Row>& rows) {
  if (!group.has(name)) return;
  const hdf5::Shape shape = group.shape(name);
  const std::size_t count = shape.size() == 2 ? shape[1] : 0;  // if it has another shape, reading it says so
  std::vector<float> all(rows.size() * count);
  group.read(name, {rows.size(), count}, all.data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto norms = std::span(all).subspan(i * count, count);
    if (std::ranges::all_of(norms, [](float norm) { return std::isnan(norm); })) continue;
    (rows[i].*member).assign(norms.begin(), norms.end());
  }
}

void write_gradient_norms(const hdf5::Group& group, const std::vector<TrainRow>& rows,
                          const std::vector<std::string>& arrays) {
  const std::size_t count = widest(rows, &TrainRow::grad_norm_by_array);
  if (count == 0) return;
  write_array_coordinate(group, count, arrays);
  write_by_array(group, rows, &TrainRow::grad_norm_by_array, "grad_norm_by_array", count,
                 "2-norm of the gradient of each array before clipping; NaN if the step was skipped");
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
  write_coordinate(group, "true_class", classes, "class that the sample is labelled with");
  write_coordinate(group, "predicted_class", classes, "class that the model gives it");

  std::vector<std::int64_t> all;
  for (const EvalRow& row : rows) all.insert(all.end(), row.confusion.begin(), row.confusion.end());
  group.write_extendible("confusion", {rows.size(), classes, classes}, all.data(), /*chunk_rows=*/8);
  label(group, "confusion", "1", "number of evaluated samples by true and predicted class");
  group.set_on(
      "confusion", "axis_order",
      std::string("evaluation, true class, predicted class; column-major programs (MATLAB, Julia, R, "
                  "Fortran) see the axes in reverse"));
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

/// An evaluation that scored fewer samples than another gives the samples that it lacks this class.
constexpr std::int16_t not_scored = -1;

void write_predicted(const hdf5::Group& group, const std::vector<EvalRow>& rows) {
  std::size_t samples = 0;
  for (const EvalRow& row : rows) samples = std::max(samples, row.predicted.size());
  if (samples == 0) return;
  write_coordinate(group, "sample", samples, "number of the sample in the data set, from 0");

  std::vector<std::int16_t> all(rows.size() * samples, not_scored);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::ranges::copy(rows[i].predicted, all.begin() + static_cast<std::ptrdiff_t>(i * samples));
  }
  group.write_extendible("predicted", {rows.size(), samples}, all.data(), /*chunk_rows=*/1);
  label(group, "predicted", "1", "class that the model gives a sample; -1 if it was not scored");
  group.attach_scale("predicted", "step", 0);
  group.attach_scale("predicted", "sample", 1);
}

void read_predicted(const hdf5::Group& group, std::vector<EvalRow>& rows, std::size_t classes) {
  if (!group.has("predicted")) return;
  const hdf5::Shape shape = group.shape("predicted");
  const std::size_t samples =
      shape.size() == 2 ? shape[1] : 0;  // if it has another shape, reading it says so
  std::vector<std::int16_t> all(rows.size() * samples);
  group.read("predicted", {rows.size(), samples}, all.data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const std::int16_t one : std::span(all).subspan(i * samples, samples)) {
      if (one == not_scored) break;
      if (one < 0 || static_cast<std::size_t>(one) >= classes) {
        throw StoreError(
            fmt::format("{}: found class {}, expected 0 to {}", group.where("predicted"), one, classes - 1));
      }
      rows[i].predicted.push_back(static_cast<std::uint8_t>(one));
    }
  }
}

}  // namespace

void write_table(const hdf5::Group& group, const std::vector<TrainRow>& rows,
                 const std::vector<std::string>& arrays) {
  set_default_plot(group);
  write_columns(group, rows);
  write_stages(group, rows);
  write_gradient_norms(group, rows, arrays);
}

void write_table(const hdf5::Group& group, const std::vector<EvalRow>& rows, std::size_t classes) {
  set_default_plot(group);
  write_columns(group, rows);
  write_confusion(group, rows, classes);
  write_predicted(group, rows);
}

void write_array_table(const hdf5::Group& root, const std::vector<ArrayRow>& rows,
                       const std::vector<std::string>& arrays) {
  if (rows.empty()) return;
  const hdf5::Group group = root.create_group("arrays");
  std::vector<std::int64_t> steps;
  for (const ArrayRow& row : rows) steps.push_back(row.step);
  group.write_extendible("step", {rows.size()}, steps.data(), chunk_rows);
  group.make_scale("step");
  label(group, "step", "1", "optimizer steps done at the log line");
  const std::size_t count = widest(rows, &ArrayRow::weight_norm);
  write_array_coordinate(group, count, arrays);
  write_by_array(group, rows, &ArrayRow::weight_norm, "weight_norm", count,
                 "2-norm of the weights of each array");
  write_by_array(group, rows, &ArrayRow::update_norm, "update_norm", count,
                 "2-norm of what the update of the step has changed in each array");
}

std::vector<ArrayRow> read_array_table(const hdf5::Group& root) {
  if (!root.has("arrays")) return {};
  const hdf5::Group group = root.group("arrays");
  std::vector<ArrayRow> rows(column_length(group, "step"));
  std::vector<std::int64_t> steps(rows.size());
  group.read("step", {rows.size()}, steps.data());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].step = steps[i];
  read_by_array(group, "weight_norm", &ArrayRow::weight_norm, rows);
  read_by_array(group, "update_norm", &ArrayRow::update_norm, rows);
  return rows;
}

std::vector<TrainRow> read_train_table(const hdf5::Group& group) {
  std::vector<TrainRow> rows = read_columns<TrainRow>(group);
  read_stages(group, rows);
  read_by_array(group, "grad_norm_by_array", &TrainRow::grad_norm_by_array, rows);
  return rows;
}

std::vector<EvalRow> read_eval_table(const hdf5::Group& group, std::size_t classes) {
  std::vector<EvalRow> rows = read_columns<EvalRow>(group);
  read_confusion(group, rows, classes);
  read_predicted(group, rows, classes);
  return rows;
}

}  // namespace fcmnist::store
