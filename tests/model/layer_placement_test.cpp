#include "model/layer_placement.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace fcmnist::model {
namespace {

using Ends = std::vector<std::size_t>;  ///< of the stages

Ends ends(std::span<const double> costs, std::size_t stages) {
  Ends result;
  std::size_t begin = 0;
  for (const LayerRange range : place_layers(costs, stages)) {
    EXPECT_EQ(range.begin, begin) << "no layer is left out, none is there twice";
    EXPECT_LT(range.begin, range.end) << "no stage is empty";
    begin = range.end;
    result.push_back(range.end);
  }
  EXPECT_EQ(begin, costs.size());
  return result;
}

double most_expensive(std::span<const double> costs, const Ends& stage_ends) {
  double most = 0.0;
  std::size_t begin = 0;
  for (const std::size_t end : stage_ends) {
    most = std::max(most, std::accumulate(costs.begin() + static_cast<long>(begin),
                                          costs.begin() + static_cast<long>(end), 0.0));
    begin = end;
  }
  return most;
}

/// The least cost of the most expensive stage over all ways to cut, by trying them.
double least_by_search(std::span<const double> costs, std::size_t stages, Ends done = {}) {
  const std::size_t begin = done.empty() ? 0 : done.back();
  if (done.size() + 1 == stages) {
    done.push_back(costs.size());
    return most_expensive(costs, done);
  }
  double least = 1e300;
  for (std::size_t end = begin + 1; end + (stages - done.size() - 1) <= costs.size(); ++end) {
    Ends next = done;
    next.push_back(end);
    least = std::min(least, least_by_search(costs, stages, next));
  }
  return least;
}

TEST(LayerCosts, AreTheProductsOfAStepAndTheFirstLayerHasOneFewer) {
  const std::size_t widths[] = {784, 500, 300, 10};
  EXPECT_EQ(layer_costs(widths), (std::vector<double>{4 * 784 * 500, 6 * 500 * 300, 6 * 300 * 10}));
}

TEST(PlaceLayers, KnownNetworks) {
  const std::size_t large[] = {784, 500, 300, 10};
  EXPECT_EQ(ends(layer_costs(large), 1), Ends({3}));
  EXPECT_EQ(ends(layer_costs(large), 2), Ends({1, 3}));
  EXPECT_EQ(ends(layer_costs(large), 3), Ends({1, 2, 3}));
  const std::size_t deep[] = {784, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 10};
  EXPECT_EQ(ends(layer_costs(deep), 2), Ends({1, 11}));
  EXPECT_EQ(ends(layer_costs(deep), 3), Ends({1, 6, 11}))
      << "the first layer decides, the rest is shared evenly";
}

TEST(PlaceLayers, TheMostExpensiveStageCostsTheLeastOfAllWays) {
  std::minstd_rand random(1);
  for (int round = 0; round < 40; ++round) {
    std::vector<double> costs(1 + random() % 9);
    for (double& cost : costs) cost = 1.0 + static_cast<double>(random() % 50);
    for (std::size_t stages = 1; stages <= costs.size(); ++stages) {
      EXPECT_EQ(most_expensive(costs, ends(costs, stages)), least_by_search(costs, stages));
    }
  }
}

TEST(PlaceLayers, SharesAddUpToOne) {
  const std::vector<double> costs = {4, 1, 1, 2};
  EXPECT_EQ(share_of_cost(costs, {0, 1}), 0.5);
  EXPECT_EQ(share_of_cost(costs, {1, 3}), 0.25);
  EXPECT_EQ(share_of_cost(costs, {0, 4}), 1.0);
}

TEST(StagesFrom, IsTheOtherWayRoundOfFirstLayers) {
  const std::vector<LayerRange> stages = stages_from(std::vector<int>{0, 2, 3}, 7);
  ASSERT_EQ(stages.size(), 3U);
  EXPECT_EQ(stages[0].begin, 0U);
  EXPECT_EQ(stages[0].end, 2U);
  EXPECT_EQ(stages[1].end, 3U);
  EXPECT_EQ(stages[2].begin, 3U);
  EXPECT_EQ(stages[2].end, 7U);
  EXPECT_EQ(first_layers_of(stages), (std::vector<int>{0, 2, 3}));
}

}  // namespace
}  // namespace fcmnist::model
