#pragma once

#include <vector>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "model/mlp.hpp"

namespace fcmnist::plan {

/// Seconds of each product of a layer. Bias, ReLU, dropout and the bias gradient belong to their products.
struct LayerTime {
  double forward_s = 0.0;
  double delta_s = 0.0;  ///< the first layer has no such product: only what belongs to it
  double weight_gradient_s = 0.0;

  [[nodiscard]] double total_s() const { return forward_s + delta_s + weight_gradient_s; }
};

/// Times of all layers, for each way and each of its rounds.
using ProductTimes = std::vector<std::vector<std::vector<LayerTime>>>;

/// Times the matrix products of a training step on made-up samples. They are those of all layers of the
/// network, in their real shapes and precision and in the order of a step, so that caches hold what they hold
/// in training. All ranks compute them at the same time. After a warm-up there are as many rounds as fit into
/// about `budget_s`, but at least nine, or three if a round takes half a second. Collective; the same number of
/// rounds on every rank.
///   samples  size of a microbatch
///   ways     choices of libraries, which are timed in turn
ProductTimes time_products(const config::RunConfig& config, const comm::Grid& grid,
                           const std::vector<std::size_t>& widths, std::size_t samples,
                           const std::vector<model::GemmChoice>& ways, double budget_s);

/// Memory that a rank needs for time_products().
std::size_t product_timing_bytes(const model::Mlp& network, std::size_t samples);

}  // namespace fcmnist::plan
