#include "kernels/sparse_products.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/random_matrix.hpp"

namespace fcmnist::kernels {
namespace {

using test::random_numbers;

/// Sparse rows of which a share of 1 / `every` is there; some rows are empty.
SparseRows random_rows(std::size_t rows, std::size_t cols, unsigned every, std::uint64_t seed) {
  const auto numbers = random_numbers(rows * cols, seed);
  SparseRows sparse;
  sparse.clear(rows * cols + 1);
  for (std::size_t r = 0; r < rows; ++r) {
    std::size_t count = 0;
    for (std::size_t c = 0; c < cols; ++c) {
      const bool is_there = r % 5 != 3 && (r * 31 + c * 7) % every == 0;
      if (is_there) sparse.next_row()[count++] = {static_cast<std::uint32_t>(c), numbers[r * cols + c]};
    }
    sparse.end_row(count);
  }
  return sparse;
}

/// base + row of `sparse` times `dense`, in double.
std::vector<double> naive(const SparseRows& sparse, std::size_t row, MatrixView<const float> dense,
                          std::span<const float> base) {
  std::vector<double> sums(base.begin(), base.end());
  for (const SparseEntry& entry : sparse.row(row)) {
    for (std::size_t o = 0; o < sums.size(); ++o) sums[o] += double{entry.value} * dense.row(entry.column)[o];
  }
  return sums;
}

class SparseProducts : public testing::TestWithParam<std::size_t> {};

TEST_P(SparseProducts, ForwardIsThatOfTheDefinition) {
  const std::size_t outputs = GetParam(), inputs = 61, samples = 12;
  const SparseRows sparse = random_rows(samples, inputs, 4, 1);
  const auto weight = random_numbers(inputs * (outputs + 1), 2), base = random_numbers(outputs, 3);
  const MatrixView<const float> dense(weight.data(), inputs, outputs, outputs + 1);
  std::vector<float> out(samples * (outputs + 5), -7.0F);
  sparse_forward(sparse, dense, base, {out.data(), samples, outputs, outputs + 5});
  for (std::size_t s = 0; s < samples; ++s) {
    const auto expected = naive(sparse, s, dense, base);
    for (std::size_t o = 0; o < outputs + 5; ++o) {
      const float found = out[s * (outputs + 5) + o];
      if (o < outputs) {
        EXPECT_NEAR(found, expected[o], 1e-5) << s << ' ' << o;
      } else {
        EXPECT_EQ(found, -7.0F) << "behind the row";
      }
    }
  }
}

TEST_P(SparseProducts, GradientOfSomeInputsIsWrittenOrAddedTo) {
  const std::size_t outputs = GetParam(), inputs = 23, samples = 40, first = 6, count = 11;
  const SparseRows sparse = random_rows(inputs, samples, 5, 4);
  const auto delta = random_numbers(samples * outputs, 5), base = random_numbers(outputs, 6),
             before = random_numbers(count * outputs, 7);
  const MatrixView<const float> dense(delta.data(), samples, outputs);
  for (const bool add : {false, true}) {
    auto out = before;
    sparse_weight_gradient(sparse, first, dense, base, add, {out.data(), count, outputs});
    for (std::size_t i = 0; i < count; ++i) {
      const auto expected = naive(sparse, first + i, dense, base);
      for (std::size_t o = 0; o < outputs; ++o) {
        const std::size_t at = i * outputs + o;
        EXPECT_NEAR(out[at], expected[o] + (add ? double{before[at]} : 0.0), 1e-5) << i << ' ' << o;
      }
    }
  }
}

/// In one fused sum for each output: what `reproducible` promises, whatever the processor.
TEST_P(SparseProducts, HasTheBitsOfOneFusedSum) {
  const std::size_t outputs = GetParam(), inputs = 50;
  const SparseRows sparse = random_rows(2, inputs, 3, 8);
  const auto weight = random_numbers(inputs * outputs, 9), base = random_numbers(outputs, 10);
  std::vector<float> out(2 * outputs);
  sparse_forward(sparse, {weight.data(), inputs, outputs}, base, {out.data(), 2, outputs});
  for (std::size_t o = 0; o < outputs; ++o) {
    float sum = base[o];
    for (const SparseEntry& entry : sparse.row(1))
      sum = std::fma(entry.value, weight[entry.column * outputs + o], sum);
    EXPECT_EQ(out[outputs + o], sum) << o;
  }
}

// Around the widths of vectors and slices, and the real one.
INSTANTIATE_TEST_SUITE_P(Outputs, SparseProducts, testing::Values(16, 17, 31, 64, 65, 79, 128, 500));

TEST(SumInputs, AddsTheWeightsOfEachOutput) {
  const auto weight = random_numbers(37 * 21, 11);
  std::vector<float> sums(21, 99.0F);
  sum_inputs({weight.data(), 37, 21}, sums);
  for (std::size_t o = 0; o < sums.size(); ++o) {
    double expected = 0.0;
    for (std::size_t i = 0; i < 37; ++i) expected += weight[i * 21 + o];
    EXPECT_NEAR(sums[o], expected, 1e-5);
  }
}

}  // namespace
}  // namespace fcmnist::kernels
