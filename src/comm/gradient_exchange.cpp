#include "comm/gradient_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/ordered_sum.hpp"

namespace fcmnist::comm {

namespace {

std::size_t most_owned(const Topology& topology, std::size_t blocks) {
  const auto ranks = static_cast<std::size_t>(topology.node().size());
  return (blocks + ranks - 1) / ranks;
}

/// Of the blocks with these indices, those that lie in each part.
std::vector<std::vector<Block>> by_part(std::span<const Range> parts, std::span<const Block> blocks,
                                        std::span<const std::size_t> indices) {
  std::vector<std::vector<Block>> result(parts.size());
  for (const std::size_t index : indices) {
    const Block& block = blocks[index];
    const auto part = std::ranges::find_if(parts, [&](const Range& range) {
      return range.begin <= block.offset && block.offset + block.count <= range.end;
    });
    FCMNIST_CHECK(part != parts.end(), fmt::format("block at {} lies in no part", block.offset));
    result[static_cast<std::size_t>(part - parts.begin())].push_back(block);
  }
  return result;
}

}  // namespace

GradientExchange::GradientExchange(const Topology& topology, const Layout& layout, std::vector<Range> parts,
                                   std::size_t small_count, const CommOptions& options, bool give_way)
    : topology_(&topology),
      parts_(std::move(parts)),
      blocks_(blocks_of(layout)),
      patience_(PolledWait::in_step(topology.world().stall_watch(), give_way)),
      gradients_(topology, layout, small_count),
      block_values_(topology.node(), most_owned(topology, blocks_.size()) * sizeof(double)),
      barrier_(topology, patience_),
      small_sum_(small_count) {
  const auto ranks = static_cast<std::size_t>(topology.node().size());
  const auto me = static_cast<std::size_t>(topology.node().rank());
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (i % ranks == me) owned_.push_back(i);
    const std::size_t b = (i + me * blocks_.size() / ranks) % blocks_.size();
    if (b % ranks != me) owned_by_others_.push_back(b);
  }
  if (topology.node_count() > 1) {
    across_nodes_.emplace(topology, layout, gradients_, parts_, by_part(parts_, blocks_, owned_), small_count,
                          options.exchange_streams);
  }
}

std::size_t GradientExchange::bytes_per_rank(const Topology& topology, const Layout& layout,
                                             std::size_t small_count) {
  const bool holds_total = topology.is_leader() && topology.node_count() > 1;
  return NodeGradients::bytes(layout, small_count) * (holds_total ? 2 : 1) +
         most_owned(topology, blocks_of(layout).size()) * sizeof(double);
}

void GradientExchange::begin(std::span<const double> small) {
  FCMNIST_CHECK(small.size() == small_sum_.size(),
                fmt::format("{} small numbers, not {}", small.size(), small_sum_.size()));
  std::ranges::copy(small, gradients_.my_small().begin());
  if (!across_nodes_) return;
  across_nodes_->post_small();
  across_nodes_->advance();
}

void GradientExchange::post() {
  if (!across_nodes_) return;
  across_nodes_->post_part();
  across_nodes_->advance();
}

std::span<const double> GradientExchange::finish() {
  if (across_nodes_) {
    patience_.until([&] { return across_nodes_->advance(); });
    std::ranges::copy(across_nodes_->small_total(), small_sum_.begin());
  } else {
    barrier_.wait();
    gradients_.sum_small(small_sum_);
  }
  return small_sum_;
}

std::span<const float* const> GradientExchange::sources(const Block& block) {
  if (!across_nodes_) return gradients_.sources(block);
  single_source_ = across_nodes_->total(block).data();
  return {&single_source_, 1};
}

double GradientExchange::collect(const Block& block) {
  const auto from = sources(block);
  if (from.size() == 1) return sum_of_squares({from[0], block.count});
  return ordered_sum(from, gradients_.mine().block(block));
}

std::span<const float* const> GradientExchange::collected(const Block& block) {
  if (across_nodes_) return sources(block);
  single_source_ = gradients_.mine().block(block).data();
  return {&single_source_, 1};
}

/// The block with index b is number b / R of rank b mod R.
double& GradientExchange::block_value(std::size_t block_index) const {
  const auto ranks = static_cast<std::size_t>(topology_->node().size());
  const auto values = block_values_.segment(static_cast<int>(block_index % ranks));
  return reinterpret_cast<double*>(values.data())[block_index / ranks];
}

double GradientExchange::sum_of_block_values() const {
  double sum = 0.0;
  for (std::size_t b = 0; b < blocks_.size(); ++b) sum += block_value(b);
  return sum;
}

}  // namespace fcmnist::comm
