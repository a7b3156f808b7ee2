#include "kernels/sparse_products.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/random_matrix.hpp"
#include "support/sparse_rows.hpp"

namespace fcmnist::kernels {
namespace {

using test::random_numbers;

constexpr float constant = -0.42F;

/// A matrix of which one number of `every` is not zero, and every fifth row has none.
std::vector<float> random_values(std::size_t rows, std::size_t cols, unsigned every, std::uint64_t seed) {
  auto numbers = random_numbers(rows * cols, seed);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) {
      if (r % 5 == 3 || (r * 31 + c * 7) % every != 0) numbers[r * cols + c] = 0.0F;
    }
  }
  return numbers;
}

/// (Values + constant) of one row times `dense`, in double.
double naive(const float* values, MatrixView<const float> dense, std::size_t output) {
  double sum = 0.0;
  for (std::size_t c = 0; c < dense.rows; ++c) {
    sum += (double{values[c]} + double{constant}) * dense.row(c)[output];
  }
  return sum;
}

class SparseProducts : public testing::TestWithParam<std::size_t> {};

TEST_P(SparseProducts, HiddenLayerIsThatOfTheDefinition) {
  const std::size_t outputs = GetParam(), inputs = 61;
  for (const std::size_t samples : {1, 4, 11}) {
    const auto values = random_values(samples, inputs, 4, 1);
    const SparseRows sparse = test::sparse_of({values.data(), samples, inputs});
    const auto weight = random_numbers(inputs * (outputs + 1), 2), bias = random_numbers(outputs, 3);
    const MatrixView<const float> dense(weight.data(), inputs, outputs, outputs + 1);
    for (const bool has_bias : {true, false}) {
      std::vector<float> out(samples * (outputs + 5), -7.0F);
      sparse_hidden(sparse, constant, dense,
                    has_bias ? std::span<const float>(bias) : std::span<const float>(),
                    {out.data(), samples, outputs, outputs + 5});
      for (std::size_t s = 0; s < samples; ++s) {
        for (std::size_t o = 0; o < outputs; ++o) {
          const double sum = naive(values.data() + s * inputs, dense, o) + (has_bias ? double{bias[o]} : 0.0);
          EXPECT_NEAR(out[s * (outputs + 5) + o], std::max(sum, 0.0), 1e-5) << s << ' ' << o;
        }
        for (std::size_t o = outputs; o < outputs + 5; ++o) {
          EXPECT_EQ(out[s * (outputs + 5) + o], -7.0F) << "behind the row";
        }
      }
    }
  }
}

TEST_P(SparseProducts, GradientOfSomeInputsIsWrittenOrAddedTo) {
  const std::size_t outputs = GetParam(), inputs = 23, samples = 40;
  const auto values = random_values(inputs, samples, 5, 4);
  const SparseRows sparse = test::sparse_of({values.data(), inputs, samples});
  const auto delta = random_numbers(samples * outputs, 5);
  const MatrixView<const float> dense(delta.data(), samples, outputs);
  // Within a group, over several, the last one, all.
  for (const auto& [first, count] : {std::pair{5, 2}, {6, 11}, {19, 4}, {0, 23}}) {
    const auto rows = static_cast<std::size_t>(count), begin = static_cast<std::size_t>(first);
    const auto before = random_numbers((rows + 1) * outputs, 7);
    for (const bool add : {false, true}) {
      auto out = before;
      sparse_weight_gradient(sparse, begin, constant, dense, add, {out.data(), rows, outputs});
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t o = 0; o < outputs; ++o) {
          const std::size_t at = i * outputs + o;
          const double sum = naive(values.data() + (begin + i) * samples, dense, o);
          EXPECT_NEAR(out[at], sum + (add ? double{before[at]} : 0.0), 2e-5) << i << ' ' << o;
        }
      }
      for (std::size_t o = 0; o < outputs; ++o) {
        EXPECT_EQ(out[rows * outputs + o], before[rows * outputs + o]) << "behind the last row";
      }
    }
  }
}

/// In one fused sum for each output: what `reproducible` promises, whatever the processor, and whoever the neighbours are.
TEST_P(SparseProducts, HasTheBitsOfOneFusedSum) {
  const std::size_t outputs = GetParam(), inputs = 50, samples = 7;
  const auto values = random_values(inputs, samples, 3, 8);
  const auto delta = random_numbers(samples * outputs, 9);
  std::vector<float> out(inputs * outputs);
  sparse_weight_gradient(test::sparse_of({values.data(), inputs, samples}), 0, constant,
                         {delta.data(), samples, outputs}, false, {out.data(), inputs, outputs});
  for (std::size_t i = 0; i < inputs; ++i) {
    for (std::size_t o = 0; o < outputs; ++o) {
      float sum = 0.0F;
      for (std::size_t s = 0; s < samples; ++s) sum += delta[s * outputs + o];
      sum *= constant;
      for (std::size_t s = 0; s < samples; ++s) {
        sum = std::fma(values[i * samples + s], delta[s * outputs + o], sum);
      }
      EXPECT_EQ(out[i * outputs + o], sum) << i << ' ' << o;
    }
  }
}

// Around the widths of vectors and slices, and the real one.
INSTANTIATE_TEST_SUITE_P(Outputs, SparseProducts, testing::Values(16, 17, 24, 31, 63, 64, 65, 79, 128, 500));

TEST(SparseProducts, ANanOfTheWeightsIsNotLost) {
  const std::vector<float> values = {0.0F, 2.0F};
  std::vector<float> weight(2 * 16, 1.0F), out(16);
  weight[3] = std::nanf("");
  sparse_hidden(test::sparse_of({values.data(), 1, 2}), constant, {weight.data(), 2, 16}, {},
                {out.data(), 1, 16});
  EXPECT_TRUE(std::isnan(out[3]));
  EXPECT_FALSE(std::isnan(out[2]));
}

}  // namespace
}  // namespace fcmnist::kernels
