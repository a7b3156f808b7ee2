#include "comm/node_gradients.hpp"

#include <algorithm>
#include <cstdint>

namespace fcmnist::comm {

template <class Number>
std::size_t NodeGradients<Number>::bytes(const Layout& layout, std::size_t small_count) {
  return layout.size() * sizeof(Number) + small_count * sizeof(double);
}

template <class Number>
NodeGradients<Number>::NodeGradients(const Topology& topology, const Layout& layout, std::size_t small_count)
    : topology_(&topology),
      layout_(&layout),
      small_count_(small_count),
      window_(topology.node(), bytes(layout, small_count)),
      sources_(static_cast<std::size_t>(topology.node().size())) {}

template <class Number>
ArenaView<Number> NodeGradients<Number>::of(int node_rank) const {
  return {*layout_, reinterpret_cast<Number*>(window_.segment(node_rank).data())};
}

template <class Number>
std::span<double> NodeGradients<Number>::small_of(int node_rank) const {
  const auto behind = window_.segment(node_rank).subspan(bytes(*layout_, 0));
  return {reinterpret_cast<double*>(behind.data()), small_count_};
}

template <class Number>
std::span<const Number* const> NodeGradients<Number>::sources(const Block& block) {
  for (std::size_t rank = 0; rank < sources_.size(); ++rank) {
    sources_[rank] = of(static_cast<int>(rank)).block(block).data();
  }
  return sources_;
}

template <class Number>
void NodeGradients<Number>::sum_small(std::span<double> sum) const {
  std::ranges::fill(sum, 0.0);
  for (int rank = 0; rank < topology_->node().size(); ++rank) {
    const auto from = small_of(rank);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += from[i];
  }
}

template class NodeGradients<float>;
template class NodeGradients<std::int64_t>;

}  // namespace fcmnist::comm
