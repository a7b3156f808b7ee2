#include "comm/cross_node_sum.hpp"

#include <algorithm>

#include "comm/mpi_handle.hpp"
#include "core/fixed_point.hpp"
#include "core/ordered_sum.hpp"

namespace fcmnist::comm {

/// The leaders gather the small numbers of all nodes.
template <class Number>
struct CrossNodeSum<Number>::SmallGather {
  std::vector<double> mine, all;
  MPI_Request request = MPI_REQUEST_NULL;
  std::uint64_t steps_started = 0;
};

namespace {

std::size_t longest(std::span<const Range> parts) {
  std::size_t size = 0;
  for (const Range& part : parts) size = std::max(size, part.size());
  return size;
}

}  // namespace

std::size_t bytes_sent_between_nodes(std::span<const Range> parts, int nodes, int node,
                                     std::size_t wire_bytes) {
  std::size_t bytes = 0;
  for (const Range& part : parts) bytes += allreduce_bytes_sent(part.size(), nodes, node, wire_bytes);
  return bytes;
}

namespace {

/// Sums that one sender has under way.
std::size_t sums_of(std::span<const Range> parts) {
  return std::min(parts.size(), static_cast<std::size_t>(sums_at_once));
}

}  // namespace

std::size_t exchange_buffer_bytes(std::span<const Range> parts, int nodes, std::size_t number_bytes) {
  return nodes == 1 ? 0 : sums_of(parts) * allreduce_buffer_numbers(longest(parts), nodes) * number_bytes;
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
      small_gather_(std::make_unique<SmallGather>()),
      next_to_start_(static_cast<std::uint64_t>(topology.node().rank())),
      next_to_finish_(next_to_start_) {
  counters_.set(finished, next_to_finish_);
  for (int tag = 0; drives_sums() && tag < static_cast<int>(sums_of(parts)); ++tag) {
    sums_.emplace_back(topology.peers(), longest(parts), tag, options.wire_type);
  }
  small_gather_->mine.resize(small_count);
  small_gather_->all.resize(small_count * static_cast<std::size_t>(topology.node_count()));
}

template <class Number>
CrossNodeSum<Number>::~CrossNodeSum() = default;

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
  if (topology_->is_leader()) gather_small();
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

/// Every leader gets the numbers of all nodes and adds them in node order, so that all have the same bits.
template <class Number>
void CrossNodeSum<Number>::gather_small() {
  SmallGather& gather = *small_gather_;
  const auto count = static_cast<int>(gather.mine.size());
  if (gather.steps_started < steps_begun_ && !counters_.first_behind(small_written, steps_begun_)) {
    gradients_->sum_small(gather.mine);
    FCMNIST_MPI(MPI_Iallgather(gather.mine.data(), count, MPI_DOUBLE, gather.all.data(), count, MPI_DOUBLE,
                               topology_->peers().handle().comm, &gather.request));
    ++gather.steps_started;
  }
  if (gather.request == MPI_REQUEST_NULL) return;
  int done = 0;
  FCMNIST_MPI(MPI_Test(&gather.request, &done, MPI_STATUS_IGNORE));
  if (done == 0) return;
  std::ranges::fill(small_total_.all(), 0.0);
  for (std::size_t i = 0; i < gather.all.size(); ++i)
    small_total_.data()[i % gather.mine.size()] += gather.all[i];
  counters_.set(small_finished, steps_begun_);
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
