#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/arena.hpp"
#include "core/error.hpp"

namespace fcmnist::train {

/// The error of training that has diverged: `what` was found, and a HINT that names the learning rate if it
/// is known.
///   loss_scale  of a gradient that is not finite though the loss is: a large one may be the reason
DivergedError diverged_error(std::string_view what, std::optional<double> learning_rate = std::nullopt,
                             double loss_scale = 1.0);

/// Throws DivergedError, with the name of the slot, if a weight after `step` steps is not finite.
void check_finite(ArenaView<const float> weights, std::int64_t step);

}  // namespace fcmnist::train
