#pragma once

#include <cstdint>
#include <span>

#include "core/layout.hpp"
#include "core/matrix_view.hpp"
#include "model/options.hpp"

namespace fcmnist::model {

/// Initial weights (out x in) and bias (out, or empty) of one linear layer: pure functions of (seed, layer,
/// position).
///   weight  as `order` says; the same numbers in either order
///   layer   index over the whole network
/// Sources: he_normal: He, Zhang, Ren, Sun, ICCV 2015; xavier_uniform: Glorot, Bengio, AISTATS 2010.
void initialize_layer(Initializer initializer, std::uint64_t seed, std::size_t layer,
                      MatrixView<float> weight, Order order, std::span<float> bias);

}  // namespace fcmnist::model
