#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "model/mlp.hpp"

namespace fcmnist::model {

/// Arithmetic of one training step for each sample and layer, in FLOPs of its matrix products: 2 for each
/// weight in forward, in the weight gradient and in the gradient by the input, which the first layer does not
/// need.
///   widths  as of widths_of()
std::vector<double> layer_costs(std::span<const std::size_t> widths);

/// The layers of a network on the stages of a pipeline: contiguous runs, none empty, such that the most
/// expensive stage costs the least, and of those the most even one (by the sum of squares).
///   1 <= stages <= layers
std::vector<LayerRange> place_layers(std::span<const double> costs, std::size_t stages);

/// The first layer of each stage.
std::vector<int> first_layers_of(std::span<const LayerRange> stages);
/// The other way round: the stages that begin at these layers, which increase from 0.
std::vector<LayerRange> stages_from(std::span<const int> first_layers, std::size_t layers);

/// Part of the whole cost, 0 to 1.
double share_of_cost(std::span<const double> costs, LayerRange range);

}  // namespace fcmnist::model
