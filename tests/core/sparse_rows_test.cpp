#include "core/sparse_rows.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace fcmnist {
namespace {

/// A dense matrix as sparse rows, through the interface that loaders use.
void fill(SparseRows& sparse, const std::vector<std::vector<float>>& dense) {
  std::size_t numbers = 0;
  for (const auto& row : dense) numbers += row.size();
  sparse.clear(numbers + 1);
  for (const auto& row : dense) {
    std::size_t count = 0;
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (row[c] != 0.0F) sparse.next_row()[count++] = {static_cast<std::uint32_t>(c), row[c]};
    }
    sparse.end_row(count);
  }
}

void expect_equal(const SparseRows& sparse, const std::vector<std::vector<float>>& dense) {
  ASSERT_EQ(sparse.rows(), dense.size());
  for (std::size_t r = 0; r < dense.size(); ++r) {
    std::vector<float> found(dense[r].size(), 0.0F);
    std::int64_t last = -1;
    for (const SparseEntry& entry : sparse.row(r)) {
      EXPECT_GT(std::int64_t{entry.column}, std::exchange(last, entry.column)) << "in order";
      found[entry.column] = entry.value;
    }
    EXPECT_EQ(found, dense[r]) << r;
  }
}

TEST(SparseRows, TransposeIsThatOfTheDenseMatrix) {
  std::mt19937 random(3);
  SparseRows sparse, transposed;  // used again for each shape, larger and smaller
  for (const auto& [rows, cols] : {std::pair{5, 9}, {1, 1}, {40, 300}, {0, 4}, {7, 3}}) {
    std::vector<std::vector<float>> dense(static_cast<std::size_t>(rows),
                                          std::vector<float>(static_cast<std::size_t>(cols)));
    std::vector<std::vector<float>> expected(static_cast<std::size_t>(cols),
                                             std::vector<float>(static_cast<std::size_t>(rows)));
    for (std::size_t r = 0; r < dense.size(); ++r) {
      for (std::size_t c = 0; c < expected.size(); ++c) {
        const bool is_zero = random() % 3 > 0 || c == 2;  // a column without any
        expected[c][r] = dense[r][c] = is_zero ? 0.0F : static_cast<float>(random() % 100 + 1);
      }
    }
    fill(sparse, dense);
    expect_equal(sparse, dense);
    transposed.transpose_of(sparse, static_cast<std::size_t>(cols));
    expect_equal(transposed, expected);
  }
}

}  // namespace
}  // namespace fcmnist
