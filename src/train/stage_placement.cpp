#include "train/stage_placement.hpp"

#include <fmt/format.h>

#include "core/text.hpp"
#include "model/layer_placement.hpp"

namespace fcmnist::train {

std::vector<model::LayerRange> place_stages(std::span<const std::size_t> widths, int stages,
                                            const std::optional<config::Plan>& plan) {
  if (plan && !plan->first_layers.empty()) return model::stages_from(plan->first_layers, widths.size() - 1);
  return model::place_layers(model::layer_costs(widths), static_cast<std::size_t>(stages));
}

model::GemmChoice gemms_of(const config::RunConfig& config, const std::optional<config::Plan>& plan) {
  return plan && !plan->gemm.empty() ? model::GemmChoice(plan->gemm) : model::GemmChoice(config.kernels.gemm);
}

std::string describe_stages(std::span<const double> costs, std::span<const model::LayerRange> stages,
                            int replicas) {
  const auto ranks = static_cast<std::size_t>(replicas);
  std::string text = fmt::format("pipeline: {} stage{} x {} replica{}", stages.size(), plural(stages.size()),
                                 replicas, plural(ranks));
  for (std::size_t s = 0; s < stages.size(); ++s) {
    text += fmt::format("; stage {}: {}, {:.0f} % of the work, {}", s,
                        first_to_last("layer", "layers", stages[s].begin, stages[s].end - 1),
                        100.0 * model::share_of_cost(costs, stages[s]),
                        first_to_last("rank", "ranks", s * ranks, (s + 1) * ranks - 1));
  }
  return text;
}

}  // namespace fcmnist::train
