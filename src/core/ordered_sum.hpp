#pragma once

#include <cstddef>
#include <span>

namespace fcmnist {

/// out[i] = sources[0][i] + sources[1][i] + ..., added in that order. Returns the sum of out[i]^2.
///   sources  pointers to out.size() numbers each, at least one; `out` may be one of them
/// The order of all additions depends on the arguments only, so every rank gets the same bits.
double ordered_sum(std::span<const float* const> sources, std::span<float> out);

/// The sum of all value^2, with the bits that ordered_sum() returns.
double sum_of_squares(std::span<const float> values);

}  // namespace fcmnist
