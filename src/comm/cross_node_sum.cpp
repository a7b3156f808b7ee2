#include "comm/cross_node_sum.hpp"

#include <algorithm>

#include "core/fixed_point.hpp"
#include "core/ordered_sum.hpp"

namespace fcmnist::comm {

namespace {

std::size_t longest(std::span<const Range> parts) {
  std::size_t size = 0;
  for (const Range& part : parts) size = std::max(size, part.size());
  return size;
}

/// Sums that one sender has under way at most.
std::size_t sums_of(std::span<const Range> parts, int nodes) {
  return std::min(parts.size(), static_cast<std::size_t>(sums_at_once(nodes)));
}

}  // namespace

int sums_at_once(int nodes) { return std::clamp(allreduce_rounds(nodes), 4, 8); }

std::size_t bytes_sent_between_nodes(std::span<const Range> parts, int nodes, int node,
                                     std::size_t wire_bytes) {
  std::size_t bytes = 0;
  for (const Range& part : parts) bytes += allreduce_bytes_sent(part.size(), nodes, node, wire_bytes);
  return bytes;
}

std::size_t exchange_buffer_bytes(std::span<const Range> parts, int nodes, std::size_t number_bytes) {
  return nodes == 1 ? 0
                    : sums_of(parts, nodes) * allreduce_buffer_numbers(longest(parts), nodes) * number_bytes;
}

template <class Number>
CrossNodeSum<Number>::CrossNodeSum(const Topology& topology, const Layout& layout,
                                   NodeGradients<Number>& gradients, std::span<const Range> parts,
                                   std::vector<std::vector<Block>> my_blocks, std::size_t small_count,
                                   const CommOptions& options)
    : topology_(&topology),
      gradients_(&gradients),
      parts_(parts),
      my_blocks_(std::move(my_blocks)),
      streams_(std::min(options.exchange_streams, topology.smallest_node())),
      total_(topology.node(), layout.size()),
      small_total_(topology.node(), small_count),
      counters_(topology),
      small_numbers_(small_count),
      next_to_start_(static_cast<std::uint64_t>(topology.node().rank())),
      next_to_finish_(next_to_start_) {
  counters_.set(finished, next_to_finish_);
  for (int tag = 0; drives_sums() && tag < static_cast<int>(sums_of(parts, topology.node_count())); ++tag) {
    sums_.emplace_back(topology.peers(), longest(parts), tag, options.wire_type);
  }
  if (topology.is_leader())
    small_sum_.emplace(topology.peers(), small_count, sums_at_once(topology.node_count()));
}

template <class Number>
void CrossNodeSum<Number>::post_small() {
  counters_.set(small_written, ++steps_begun_);
}

template <class Number>
void CrossNodeSum<Number>::post_part() {
  counters_.set(written, ++written_);
}

template <class Number>
bool CrossNodeSum<Number>::advance() {
  sum_over_node();
  if (drives_sums()) drive_sums();
  if (topology_->is_leader()) sum_small();
  return finished_everywhere();
}

template <class Number>
void CrossNodeSum<Number>::sum_over_node() {
  while (summed_ < written_ && !counters_.first_behind(written, summed_ + 1)) {
    for (const Block& block : my_blocks_[summed_ % parts_.size()]) {
      ordered_sum(gradients_->sources(block), {total_.data() + block.offset, block.count});
    }
    counters_.set(summed, ++summed_);
  }
}

template <class Number>
CirculantAllreduce<Number>& CrossNodeSum<Number>::sum_of(std::uint64_t part) {
  return sums_[part / static_cast<std::uint64_t>(streams_) % sums_.size()];
}

/// Node rank k mod streams sums part k over the nodes. All nodes start the parts of a stream in the same order,
/// and have at most sums_.size() of them under way: part k uses number k / streams mod sums_.size() of them.
template <class Number>
void CrossNodeSum<Number>::drive_sums() {
  const auto streams = static_cast<std::uint64_t>(streams_);
  const auto can_start = [&] {
    return next_to_start_ < next_to_finish_ + streams * sums_.size() && next_to_start_ < written_ &&
           !counters_.first_behind(summed, next_to_start_ + 1);
  };
  for (; can_start(); next_to_start_ += streams) {
    const Range part = parts_[next_to_start_ % parts_.size()];
    sum_of(next_to_start_).start({total_.data() + part.begin, part.size()});
  }
  for (std::uint64_t part = next_to_finish_; part < next_to_start_; part += streams) {
    const bool done = sum_of(part).progress();
    if (done && part == next_to_finish_) {
      next_to_finish_ += streams;
      counters_.set(finished, next_to_finish_);
    }
  }
}

template <class Number>
void CrossNodeSum<Number>::sum_small() {
  if (small_started_ < steps_begun_ && !counters_.first_behind(small_written, steps_begun_)) {
    gradients_->sum_small(small_numbers_);
    small_sum_->start(small_numbers_);
    ++small_started_;
  }
  if (counters_.reached(0, small_finished, small_started_) || !small_sum_->progress()) return;
  std::ranges::copy(small_numbers_, small_total_.data());
  counters_.set(small_finished, small_started_);
}

template <class Number>
bool CrossNodeSum<Number>::finished_everywhere() const {
  if (written_ < steps_begun_ * parts_.size()) return false;
  if (!counters_.reached(0, small_finished, steps_begun_)) return false;
  const auto streams = static_cast<std::uint64_t>(streams_);
  // Stream s has finished the step when its next part is the first one from written_ on that is s mod
  // streams.
  for (std::uint64_t stream = 0; stream < streams; ++stream) {
    const std::uint64_t next_part = written_ + (stream + streams - written_ % streams) % streams;
    if (!counters_.reached(static_cast<int>(stream), finished, next_part)) return false;
  }
  return true;
}

template class CrossNodeSum<float>;
template class CrossNodeSum<std::int64_t>;

}  // namespace fcmnist::comm
