#include "store/trace_file.hpp"

#include <algorithm>

#include "store/hdf5.hpp"
#include "store/labels.hpp"
#include "store/root_attributes.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::store {

namespace {

double offset_at(double time_s, const ClockOffset& before, const ClockOffset& after) {
  const double apart_s = after.at_s - before.at_s;
  const double share = apart_s > 0.0 ? (time_s - before.at_s) / apart_s : 0.0;
  return before.offset_s + share * (after.offset_s - before.offset_s);
}

/// A column of a number of each item. `scale` is the coordinate of the items.
template <class Item, class Get>
void write_column(const hdf5::Group& group, const char* scale, const char* name,
                  const std::vector<Item>& items, Get get, const char* units, const char* long_name) {
  std::vector<std::decay_t<decltype(get(items.front()))>> column;
  column.reserve(items.size());
  for (const Item& item : items) column.push_back(get(item));
  group.write(name, {items.size()}, column.data());
  label(group, name, units, long_name);
  group.attach_scale(name, scale, 0);
}

void write_spans(const hdf5::Group& group, const Trace& trace) {
  write_coordinate(group, "span", trace.spans.size(), "number of the span");
  const auto column = [&](const char* name, auto member, const char* units, const char* long_name) {
    write_column(
        group, "span", name, trace.spans, [&](const Span& span) { return span.*member; }, units, long_name);
  };
  column("begin_s", &Span::begin_s, "s", "when it began, by the clock of rank 0, from the first span on");
  column("end_s", &Span::end_s, "s", "when it ended");
  column("rank", &Span::rank, "1", "rank that did it");
  column("step", &Span::step, "1", "training step, from 1");
  column("activity", &Span::activity, "1", "what was done; the attribute names has the names");
  column("layer", &Span::layer, "1",
         "layer that it was done for, -1 for none; the attribute names has the names");
  column("microbatch", &Span::microbatch, "1", "microbatch of the replica that it was done for, -1 for none");
  group.set_on("activity", "names",
               std::vector<std::string>(trace.activities.begin(), trace.activities.end()));
  if (trace.layers.size() <= longest_list) group.set_on("layer", "names", trace.layers);
}

void write_ranks(const hdf5::Group& group, const Trace& trace) {
  write_coordinate(group, "rank", trace.ranks.size(), "rank of the world");
  const auto column = [&](const char* name, auto get, const char* units, const char* long_name) {
    write_column(group, "rank", name, trace.ranks, get, units, long_name);
  };
  column(
      "replica", [](const TracedRank& rank) { return std::int64_t{rank.replica}; }, "1",
      "replica of the rank");
  column(
      "stage", [](const TracedRank& rank) { return std::int64_t{rank.stage}; }, "1", "stage of the rank");
  const auto of_clock = [](auto member) {
    return [member](const TracedRank& rank) { return (rank.after.*member + rank.before.*member) / 2; };
  };
  column("clock_offset_s", of_clock(&ClockOffset::offset_s), "s",
         "what the clock of the rank lacked to that of rank 0, mean of before and after the steps");
  column(
      "clock_drift_s", [](const TracedRank& rank) { return rank.after.offset_s - rank.before.offset_s; }, "s",
      "change of the offset from before to after the steps");
  column(
      "clock_error_s",
      [](const TracedRank& rank) { return std::max(rank.before.error_s, rank.after.error_s); }, "s",
      "that times of the rank are off by at most");
  std::vector<std::string> hosts, cores;
  for (const TracedRank& rank : trace.ranks) {
    hosts.push_back(rank.host);
    cores.push_back(rank.cores);
  }
  if (trace.ranks.size() > longest_list) return;
  group.set_on("rank", "host", hosts);
  group.set_on("rank", "cores", cores);
}

}  // namespace

void align_clocks(Trace& trace) {
  for (Span& span : trace.spans) {
    const TracedRank& rank = trace.ranks[static_cast<std::size_t>(span.rank)];
    span.begin_s += offset_at(span.begin_s, rank.before, rank.after);
    span.end_s += offset_at(span.end_s, rank.before, rank.after);
  }
  const auto first = std::ranges::min_element(trace.spans, {}, &Span::begin_s);
  if (first == trace.spans.end()) return;
  const double begin_s = first->begin_s;
  for (Span& span : trace.spans) {
    span.begin_s -= begin_s;
    span.end_s -= begin_s;
  }
}

std::vector<std::byte> trace_image(const std::filesystem::path& path, const Trace& trace,
                                   const std::string& config_yaml, const Manifest& manifest) {
  const hdf5::File file = hdf5::File::create(path.string());
  const hdf5::Group root = file.root();
  write_root_attributes(root, FileKind::trace, config_yaml, manifest);
  write_spans(root.create_group("spans"), trace);
  write_ranks(root.create_group("ranks"), trace);
  return file.image();
}

}  // namespace fcmnist::store
