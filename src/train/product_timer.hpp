#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "model/mlp.hpp"

namespace fcmnist::train {

/// Seconds of each product of a layer, with what belongs to it: bias, ReLU, dropout, bias gradient.
struct LayerTime {
  double forward_s = 0.0;
  double delta_s = 0.0;  ///< of the first layer without a product
  double weight_gradient_s = 0.0;

  [[nodiscard]] double total_s() const { return forward_s + delta_s + weight_gradient_s; }
};

/// The matrix products of a training step on made-up numbers: those of all layers of the network, in their
/// real shapes and in the order of a step, so that caches hold what they hold in training. All ranks compute
/// them at the same time.
class ProductTimer {
 public:
  /// What is to be compared, in turn: ways to choose libraries.
  ///   samples  of a microbatch
  ProductTimer(const config::RunConfig& config, const comm::Grid& grid,
               const std::vector<std::size_t>& widths, std::size_t samples,
               const std::vector<model::GemmChoice>& ways);
  ~ProductTimer();

  /// Times of all layers, by way and round.
  using Times = std::vector<std::vector<std::vector<LayerTime>>>;
  /// Collective: as many rounds as fit into about `budget_s`, after a warm-up, and at least nine, or
  /// three of a network whose rounds take half a second. The same number on every rank.
  Times run(double budget_s);

 private:
  struct Layer;
  std::vector<LayerTime> run_once(std::size_t way);

  const comm::Communicator* world_;
  std::size_t samples_, ways_;
  std::vector<std::uint32_t> sample_ids_;
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace fcmnist::train
