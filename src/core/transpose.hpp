#pragma once

#include "core/matrix_view.hpp"

namespace fcmnist {

/// to[c][r] = from[r][c]. They do not overlap.
void transpose(MatrixView<const float> from, MatrixView<float> to);

}  // namespace fcmnist
