#include "comm/gradient_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "core/error.hpp"

namespace fcmnist::comm {

namespace {

/// The blocks with these indices, sorted by the part in which they lie.
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

template <class Number>
GradientExchange<Number>::GradientExchange(const Topology& topology, const Layout& layout,
                                           std::vector<Range> parts, std::size_t small_count,
                                           const CommOptions& options, bool give_way)
    : BlockOwners(topology, layout, give_way),
      parts_(std::move(parts)),
      gradients_(topology, layout, small_count),
      small_sum_(small_count) {
  if (topology.node_count() > 1) {
    across_nodes_.emplace(topology, layout, gradients_, parts_, by_part(parts_, blocks(), owned()),
                          small_count, options);
  }
}

template <class Number>
std::size_t GradientExchange<Number>::bytes_per_rank(const Seat& seat, const Layout& layout,
                                                     std::size_t small_count) {
  const bool holds_total = seat.is_leader && seat.nodes > 1;
  return NodeGradients<Number>::bytes(layout, small_count) * (holds_total ? 2 : 1) +
         BlockOwners::bytes_per_rank(seat, layout);
}

template <class Number>
void GradientExchange<Number>::begin(std::span<const double> small) {
  FCMNIST_CHECK(small.size() == small_sum_.size(),
                fmt::format("{} small numbers, not {}", small.size(), small_sum_.size()));
  std::ranges::copy(small, gradients_.my_small().begin());
  if (!across_nodes_) return;
  across_nodes_->post_small();
  across_nodes_->advance();
}

template <class Number>
void GradientExchange<Number>::post() {
  if (!across_nodes_) return;
  across_nodes_->post_part();
  across_nodes_->advance();
}

template <class Number>
void GradientExchange<Number>::wait_for_node() {
  if (!across_nodes_) return barrier().wait();
  patience().until([&] {
    across_nodes_->advance();
    return across_nodes_->node_is_summed();
  });
}

template <class Number>
std::span<double> GradientExchange<Number>::finish() {
  if (across_nodes_) {
    patience().until([&] { return across_nodes_->advance(); });
    std::ranges::copy(across_nodes_->small_total(), small_sum_.begin());
  } else {
    gradients_.sum_small(small_sum_);
  }
  return small_sum_;
}

template <class Number>
std::span<const Number* const> GradientExchange<Number>::sources(const Block& block) {
  if (!across_nodes_) return gradients_.sources(block);
  single_source_ = across_nodes_->total(block).data();
  return {&single_source_, 1};
}

template class GradientExchange<float>;
template class GradientExchange<std::int64_t>;

}  // namespace fcmnist::comm
