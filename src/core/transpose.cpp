#include "core/transpose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "core/error.hpp"

namespace fcmnist {

namespace {

/// Rows and columns of a tile, of which both sides lie in the first-level cache.
constexpr std::size_t tile = 16;

}  // namespace

void transpose(MatrixView<const float> from, MatrixView<float> to) {
  FCMNIST_CHECK(from.rows == to.cols && from.cols == to.rows,
                fmt::format("{} x {} to {} x {}", from.rows, from.cols, to.rows, to.cols));
  for (std::size_t r = 0; r < from.rows; r += tile) {
    const std::size_t rows = std::min(tile, from.rows - r);
    for (std::size_t c = 0; c < from.cols; c += tile) {
      const std::size_t cols = std::min(tile, from.cols - c);
      for (std::size_t j = 0; j < cols; ++j) {
        float* const __restrict out = to.data + (c + j) * to.stride + r;
        const float* const __restrict in = from.data + r * from.stride + c + j;
        for (std::size_t i = 0; i < rows; ++i) out[i] = in[i * from.stride];
      }
    }
  }
}

}  // namespace fcmnist
