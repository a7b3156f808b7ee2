#include "comm/gradient_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/ordered_sum.hpp"

namespace fcmnist::comm {

namespace {

std::size_t gradient_bytes(const Layout& layout) { return layout.size() * sizeof(float); }

}  // namespace

GradientExchange::GradientExchange(const Topology& topology, const Layout& layout, std::size_t small_count,
                                   const CommOptions& options, bool give_way)
    : topology_(&topology),
      layout_(&layout),
      small_count_(small_count),
      blocks_(blocks_of(layout)),
      gradients_(topology.node(), gradient_bytes(layout) + small_count * sizeof(double)),
      block_values_(topology.node(), blocks_.size()),
      total_(topology.node(), topology.node_count() > 1 ? layout.size() : 0),
      small_total_(topology.node(), topology.node_count() > 1 ? small_count : 0),
      barrier_(topology, options.stall_timeout_s, give_way),
      ring_(topology.leaders(), topology.node_count() > 1 ? layout.size() : 0, options.stall_timeout_s) {
  const auto ranks = static_cast<std::size_t>(topology.node().size());
  for (auto b = static_cast<std::size_t>(topology.node().rank()); b < blocks_.size(); b += ranks)
    owned_.push_back(b);
  sources_.resize(ranks);
}

std::size_t GradientExchange::bytes_per_rank(const Topology& topology, const Layout& layout,
                                             std::size_t small_count) {
  const std::size_t leader_copies = topology.is_leader() && topology.node_count() > 1 ? 1 : 0;
  return (1 + leader_copies) * gradient_bytes(layout) + small_count * sizeof(double);
}

ArenaView<float> GradientExchange::gradient_of(int node_rank) const {
  return {*layout_, reinterpret_cast<float*>(gradients_.segment(node_rank).data())};
}

std::span<double> GradientExchange::small_of(int node_rank) const {
  const auto bytes = gradients_.segment(node_rank).subspan(gradient_bytes(*layout_));
  return {reinterpret_cast<double*>(bytes.data()), small_count_};
}

void GradientExchange::reduce(std::span<double> small) {
  FCMNIST_CHECK(small.size() == small_count_,
                fmt::format("{} small numbers, not {}", small.size(), small_count_));
  std::ranges::copy(small, small_of(topology_->node().rank()).begin());
  barrier_.wait();
  std::ranges::fill(small, 0.0);
  for (int rank = 0; rank < topology_->node().size(); ++rank) {
    const auto from = small_of(rank);
    for (std::size_t i = 0; i < small_count_; ++i) small[i] += from[i];
  }
  if (topology_->node_count() > 1) sum_over_nodes(small);
}

void GradientExchange::sum_over_nodes(std::span<double> small) {
  for (const std::size_t b : owned_) {
    ordered_sum(sources_of_node(blocks_[b]), {total_.data() + blocks_[b].offset, blocks_[b].count});
  }
  barrier_.wait();
  if (topology_->is_leader()) {
    ring_.sum(total_.all());
    std::ranges::copy(small, small_total_.data());
    topology_->leaders().sum(small_total_.all());
  }
  barrier_.wait();
  std::ranges::copy(small_total_.all(), small.begin());
}

std::span<const float* const> GradientExchange::sources_of_node(const Block& block) {
  for (std::size_t rank = 0; rank < sources_.size(); ++rank) {
    sources_[rank] = gradient_of(static_cast<int>(rank)).block(block).data();
  }
  return sources_;
}

std::span<const float* const> GradientExchange::sources(const Block& block) {
  if (topology_->node_count() == 1) return sources_of_node(block);
  sources_[0] = total_.data() + block.offset;
  return std::span(sources_).first(1);
}

double GradientExchange::sum_of_block_values() const {
  double sum = 0.0;
  for (const double value : block_values_.all()) sum += value;
  return sum;
}

}  // namespace fcmnist::comm
