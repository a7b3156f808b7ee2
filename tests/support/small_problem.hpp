#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "comm/grid.hpp"
#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "model/layer_placement.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::test {

/// A data set of random images whose label depends on the image, small enough to train on in milliseconds.
class SmallProblem {
 public:
  explicit SmallProblem(std::size_t samples)
      : samples_(samples), images_(samples * features), labels_(samples) {
    const auto noise = random_numbers(images_.size(), 77);
    for (std::size_t i = 0; i < images_.size(); ++i) {
      images_[i] = static_cast<std::uint8_t>(128.0F + 40.0F * std::min(3.0F, std::max(-3.0F, noise[i])));
    }
    for (std::size_t s = 0; s < samples; ++s)
      labels_[s] = static_cast<std::uint8_t>(images_[s * features] * 10 / 256);
  }

  static constexpr std::size_t features = 20;

  [[nodiscard]] data::Dataset view() const {
    return data::make_dataset({samples_, 4, 5}, 10, images_, labels_);
  }

 private:
  std::size_t samples_;
  std::vector<std::uint8_t> images_;
  std::vector<std::uint8_t> labels_;
};

inline config::RunConfig small_config() {
  config::RunConfig config;
  config.model.hidden_sizes = {16, 12};
  config.model.dropout = 0.25;
  config.optimizer.learning_rate = {{optim::ScheduleKind::cosine, 0.2, 0.0, 1.0, 0}};
  config.optimizer.momentum = 0.9;
  config.optimizer.weight_decay_rate = 1e-3;
  config.train_input.batch_size = 37;  // divides among no number of ranks
  return config;
}

/// The layers of this rank's stage.
inline model::Mlp stage_of(const config::RunConfig& config, const comm::Grid& grid) {
  const auto widths = model::widths_of(config.model, SmallProblem::features);
  const auto stages =
      model::place_layers(model::layer_costs(widths), static_cast<std::size_t>(grid.stages()));
  return {widths, config.model, config.kernels.gemm, stages[static_cast<std::size_t>(grid.stage())]};
}

/// Numbers of stages that divide the ranks and have a layer each.
inline std::vector<int> stage_counts(int ranks, const config::RunConfig& config) {
  std::vector<int> counts;
  for (int stages = 1; stages <= std::min(ranks, config::layer_count(config)); ++stages) {
    if (ranks % stages == 0) counts.push_back(stages);
  }
  return counts;
}

}  // namespace fcmnist::test
