#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "store/labels.hpp"
#include "store/metrics_tables.hpp"
#include "store/root_attributes.hpp"

namespace fcmnist::store {

namespace {

constexpr const char* group_name(bool is_summary) { return is_summary ? "ranks_summary" : "ranks"; }

/// The second dimension of the columns.
void write_ranks(const hdf5::Group& group, std::size_t ranks, const MetricsSubject& subject) {
  write_coordinate(group, "rank", ranks, "rank of the world");
  // As attributes: not every reader of HDF5 takes datasets of texts.
  const auto write_of_rank = [&](const char* name, std::vector<std::string> texts) {
    if (texts.empty() || ranks > longest_list) return;
    texts.resize(ranks);  // with empty texts for ranks of an earlier, larger world
    group.set_on("rank", name, texts);
  };
  write_of_rank("host", subject.hosts);
  write_of_rank("cores", subject.cores);
}

void write_group(const hdf5::Group& root, const std::vector<const RankRow*>& rows, bool is_summary,
                 const MetricsSubject& subject) {
  const hdf5::Group group = root.create_group(group_name(is_summary));
  std::vector<std::int64_t> steps;
  std::size_t ranks = 0;
  for (const RankRow* row : rows) {
    steps.push_back(row->step);
    ranks = std::max(ranks, row->ranks.size());
  }
  if (!is_summary) ranks = std::max(ranks, subject.hosts.size());
  const std::size_t chunk_rows = std::max<std::size_t>(1, 4096 / ranks);
  group.write_extendible("step", {rows.size()}, steps.data(), 1024);
  group.make_scale("step");
  label(group, "step", "1", "optimizer steps done at the log line");
  if (is_summary) {
    write_coordinate(group, "statistic", ranks, "0 min, 1 mean, 2 max over the ranks");
  } else {
    write_ranks(group, ranks, subject);
  }
  std::vector<float> column;
  for_each_rank_column([&](const char* name, auto member, const char* long_name) {
    column.assign(rows.size() * ranks, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t r = 0; r < rows[i]->ranks.size(); ++r)
        column[i * ranks + r] = rows[i]->ranks[r].*member;
    }
    group.write_extendible(name, {rows.size(), ranks}, column.data(), chunk_rows);
    label(group, name, "s", long_name);
    group.attach_scale(name, "step", 0);
    group.attach_scale(name, is_summary ? "statistic" : "rank", 1);
  });
}

void read_group(const hdf5::Group& group, bool is_summary, std::vector<RankRow>& rows) {
  const hdf5::Shape shape = group.shape("compute_s");
  if (shape.size() != 2)
    throw StoreError(group.where("compute_s") + ": found another shape than steps x ranks");
  const std::size_t count = shape[0], ranks = shape[1];
  std::vector<std::int64_t> steps(count);
  group.read("step", {count}, steps.data());
  const std::size_t first = rows.size();
  for (const std::int64_t step : steps) rows.push_back({step, is_summary, std::vector<RankTime>(ranks)});
  std::vector<float> column(count * ranks);
  for_each_rank_column([&](const char* name, auto member, const char*) {
    if (std::string_view(name) == "exposed_s" && !group.has(name)) {  // a file of a release before it
      for (RankRow& row : std::span(rows).subspan(first)) {
        for (RankTime& rank : row.ranks) rank.*member = std::numeric_limits<float>::quiet_NaN();
      }
      return;
    }
    group.read(name, {count, ranks}, column.data());
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t r = 0; r < ranks; ++r) rows[first + i].ranks[r].*member = column[i * ranks + r];
    }
  });
  // Ranks that a smaller world did not have.
  for (RankRow& row : std::span(rows).subspan(first)) {
    while (!row.ranks.empty() && std::isnan(row.ranks.back().compute_s)) row.ranks.pop_back();
  }
}

}  // namespace

void write_rank_tables(const hdf5::Group& root, const std::vector<RankRow>& rows,
                       const MetricsSubject& subject) {
  for (const bool is_summary : {false, true}) {
    std::vector<const RankRow*> of_this_kind;
    for (const RankRow& row : rows) {
      if (row.is_summary == is_summary) of_this_kind.push_back(&row);
    }
    if (!of_this_kind.empty()) write_group(root, of_this_kind, is_summary, subject);
  }
}

std::vector<RankRow> read_rank_tables(const hdf5::Group& root) {
  std::vector<RankRow> rows;
  for (const bool is_summary : {false, true}) {
    if (root.has(group_name(is_summary))) read_group(root.group(group_name(is_summary)), is_summary, rows);
  }
  std::ranges::sort(rows, {}, &RankRow::step);
  return rows;
}

}  // namespace fcmnist::store
