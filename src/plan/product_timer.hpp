#pragma once

#include <vector>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "model/mlp.hpp"

namespace fcmnist::plan {

/// Seconds of each product of a layer, with what belongs to it: bias, ReLU, dropout, bias gradient.
struct LayerTime {
  double forward_s = 0.0;
  double delta_s = 0.0;  ///< of the first layer without a product
  double weight_gradient_s = 0.0;

  [[nodiscard]] double total_s() const { return forward_s + delta_s + weight_gradient_s; }
};

/// Times of all layers, by way and round.
using ProductTimes = std::vector<std::vector<std::vector<LayerTime>>>;

/// Times the matrix products of a training step on made-up numbers: those of all layers of the network, in
/// their real shapes and precision and in the order of a step, so that caches hold what they hold in
/// training. All ranks compute them at the same time. Collective: as many rounds as fit into about
/// `budget_s`, after a warm-up, and at least nine, or three of a network whose rounds take half a second. The
/// same number on every rank.
///   samples  of a microbatch
///   ways     what is to be compared, in turn: ways to choose libraries
ProductTimes time_products(const config::RunConfig& config, const comm::Grid& grid,
                           const std::vector<std::size_t>& widths, std::size_t samples,
                           const std::vector<model::GemmChoice>& ways, double budget_s);

/// Memory that a rank needs for it.
std::size_t product_timing_bytes(const model::Mlp& network, std::size_t samples);

}  // namespace fcmnist::plan
