#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/matrix_view.hpp"
#include "core/sparse_rows.hpp"

namespace fcmnist::test {

/// The numbers of a dense matrix that are not zero.
inline SparseRows sparse_of(MatrixView<const float> dense) {
  constexpr std::size_t group = SparseRows::group_rows;
  SparseRows sparse;
  sparse.clear(dense.rows, SparseRows::groups_of(dense.rows) * dense.cols);
  for (std::size_t first = 0; first < dense.rows; first += group) {
    SparseRows::Entry* const entries = sparse.next_group();
    std::size_t count = 0;
    for (std::size_t c = 0; c < dense.cols; ++c) {
      SparseRows::Entry entry{static_cast<std::uint32_t>(c)};
      for (std::size_t r = 0; r < group && first + r < dense.rows; ++r)
        entry.values[r] = dense.row(first + r)[c];
      if (std::ranges::any_of(entry.values, [](float v) { return v != 0.0F; })) entries[count++] = entry;
    }
    sparse.end_group(count);
  }
  return sparse;
}

/// The dense matrix again.
inline std::vector<float> dense_of(const SparseRows& sparse, std::size_t cols) {
  constexpr std::size_t group = SparseRows::group_rows;
  std::vector<float> dense(sparse.rows() * cols, 0.0F);
  for (std::size_t g = 0; g < sparse.groups(); ++g) {
    for (const SparseRows::Entry& entry : sparse.group(g)) {
      for (std::size_t r = 0; r < group && g * group + r < sparse.rows(); ++r) {
        dense[(g * group + r) * cols + entry.column] = entry.values[r];
      }
    }
  }
  return dense;
}

}  // namespace fcmnist::test
