#include "model/layer_placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/error.hpp"

namespace fcmnist::model {

namespace {

constexpr double impossible = std::numeric_limits<double>::infinity();

/// Dynamic programming over (stages, layers before the cut).
struct Cuts {
  double value = impossible;       ///< the least that a placement can have
  std::vector<LayerRange> ranges;  ///< the placement that has it
};

/// The placement of the least value, where combine(value of the stages before, cost of a stage) gives the
/// value of one stage more. Of equal ones the one with the most layers in front.
template <class Combine>
Cuts best_cuts(std::span<const double> costs, std::size_t stages, Combine combine) {
  const std::size_t layers = costs.size();
  std::vector<double> before(layers + 1,
                             impossible);  // before[n]: value of the first n layers on the stages so far
  before[0] = 0.0;
  std::vector<std::vector<std::size_t>> begin(stages, std::vector<std::size_t>(layers + 1));
  for (std::size_t s = 0; s < stages; ++s) {
    std::vector<double> value(layers + 1, impossible);
    for (std::size_t end = s + 1; end + (stages - 1 - s) <= layers; ++end) {
      double cost = 0.0;
      for (std::size_t cut = end; cut-- > s;) {
        cost += costs[cut];
        const double candidate = combine(before[cut], cost);
        if (candidate >= value[end]) continue;
        value[end] = candidate;
        begin[s][end] = cut;
      }
    }
    before = std::move(value);
  }
  Cuts cuts{before[layers], std::vector<LayerRange>(stages)};
  std::size_t end = layers;
  for (std::size_t s = stages; s-- > 0; end = begin[s][end]) cuts.ranges[s] = {begin[s][end], end};
  return cuts;
}

}  // namespace

std::vector<double> layer_costs(std::span<const std::size_t> widths) {
  std::vector<double> costs;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const double products = i == 0 ? 2.0 : 3.0;
    costs.push_back(2.0 * products * static_cast<double>(widths[i] * widths[i + 1]));
  }
  return costs;
}

std::vector<LayerRange> place_layers(std::span<const double> costs, std::size_t stages) {
  FCMNIST_CHECK(stages >= 1 && stages <= costs.size(), fmt::format("{} on {}", costs.size(), stages));
  const double most =
      best_cuts(costs, stages, [](double before, double cost) { return std::max(before, cost); }).value;
  return best_cuts(
             costs, stages,
             [most](double before, double cost) { return cost > most ? impossible : before + cost * cost; })
      .ranges;
}

std::vector<int> first_layers_of(std::span<const LayerRange> stages) {
  std::vector<int> first;
  for (const LayerRange& stage : stages) first.push_back(static_cast<int>(stage.begin));
  return first;
}

std::vector<LayerRange> stages_from(std::span<const int> first_layers, std::size_t layers) {
  std::vector<LayerRange> stages;
  for (std::size_t s = first_layers.size(), end = layers; s-- > 0; end = stages.back().begin) {
    stages.push_back({static_cast<std::size_t>(first_layers[s]), end});
  }
  std::ranges::reverse(stages);
  return stages;
}

double share_of_cost(std::span<const double> costs, LayerRange range) {
  const auto part = costs.subspan(range.begin, range.end - range.begin);
  return std::accumulate(part.begin(), part.end(), 0.0) / std::accumulate(costs.begin(), costs.end(), 0.0);
}

}  // namespace fcmnist::model
