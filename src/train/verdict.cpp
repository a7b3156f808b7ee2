#include "train/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace fcmnist::train {

DivergedError diverged_error(std::string_view what, std::optional<double> learning_rate, double loss_scale) {
  const std::string smaller_scale =
      loss_scale > 1.0 ? fmt::format(
                             "the loss scale is {:g}: lower optimizer.loss_scaling_factor (a dynamic "
                             "one: optimizer.min_loss_scale); or ",
                             loss_scale)
                       : "";
  return DivergedError(
      what, fmt::format("{}lower optimizer.learning_rate{} or set optimizer.max_gradient_norm; "
                        "the last checkpoint is kept",
                        smaller_scale, learning_rate ? fmt::format(" (now {:g})", *learning_rate) : ""));
}

void check_finite(ArenaView<const float> weights, std::int64_t step) {
  const auto finite = [](float w) { return std::isfinite(w); };
  for (const Slot& slot : weights.layout().slots()) {
    if (std::ranges::all_of(weights.all().subspan(slot.offset, slot.count()), finite)) continue;
    throw diverged_error(fmt::format(
        "step {}: {} is not finite: training has diverged, these weights are not saved", step, slot.name));
  }
}

}  // namespace fcmnist::train
