#pragma once

#include <cstddef>
#include <span>

namespace fcmnist {

/// out[i] = sources[0][i] + sources[1][i] + ..., added in that order, and returns the sum of out[i]^2.
///   sources  pointers to out.size() numbers each, at least one; `out` may be one of them
/// The order of all additions depends on the arguments only, so the bits are the same wherever it is
/// computed.
double ordered_sum(std::span<const float* const> sources, std::span<float> out);

/// The sum of value^2, as ordered_sum() forms it.
double sum_of_squares(std::span<const float> values);

}  // namespace fcmnist
