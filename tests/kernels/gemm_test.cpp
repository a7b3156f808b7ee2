#include "kernels/gemm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/blas_threads.hpp"
#include "support/process_threads.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::kernels {
namespace {

using test::random_numbers;
using test::threads_of_this_process;

struct Case {
  Op op_a, op_b;
  std::size_t m, n, k;
  float alpha, beta;
};

double element(Op op, MatrixView<const float> x, std::size_t r, std::size_t c) {
  return op == Op::none ? x.row(r)[c] : x.row(c)[r];
}

std::vector<GemmBackend> backends() {
  std::vector<GemmBackend> all = {GemmBackend::openblas};
  if (available(GemmBackend::onednn)) all.push_back(GemmBackend::onednn);
  return all;
}

std::string name_of(const testing::TestParamInfo<GemmBackend>& backend) {
  return backend.param == GemmBackend::openblas ? "openblas" : "onednn";
}

class Gemm : public testing::TestWithParam<std::tuple<GemmBackend, Case>> {
 protected:
  void SetUp() override { set_blas_threads(1); }
};

TEST_P(Gemm, AgreesWithTheNaiveProduct) {
  const auto& [backend, shape] = GetParam();
  const auto [op_a, op_b, m, n, k, alpha, beta] = shape;
  const std::size_t padding = 3;  // strides longer than rows
  const auto view = [&](auto& numbers, Op op, std::size_t rows, std::size_t cols) {
    return op == Op::none ? MatrixView(numbers.data(), rows, cols, cols + padding)
                          : MatrixView(numbers.data(), cols, rows, rows + padding);
  };
  const auto a_numbers = random_numbers((m + padding) * (k + padding), 1);
  const auto b_numbers = random_numbers((k + padding) * (n + padding), 2);
  auto c_numbers = random_numbers(m * (n + padding), 3);
  const auto before = c_numbers;
  const MatrixView<const float> a = view(a_numbers, op_a, m, k), b = view(b_numbers, op_b, k, n);
  const MatrixView c(c_numbers.data(), m, n, n + padding);
  gemm(backend, op_a, a, op_b, b, alpha, beta, c);
  for (std::size_t r = 0; r < m; ++r) {
    for (std::size_t col = 0; col < n; ++col) {
      double sum = 0.0, magnitude = 0.0;
      for (std::size_t i = 0; i < k; ++i) {
        const double product = element(op_a, a, r, i) * element(op_b, b, i, col);
        sum += product;
        magnitude += std::abs(product);
      }
      const double expected = alpha * sum + beta * before[r * (n + padding) + col];
      ASSERT_NEAR(c.row(r)[col], expected, 1e-6 * (magnitude + 1.0)) << r << "," << col;
    }
    for (std::size_t i = n; i < n + padding && r + 1 < m; ++i) {
      ASSERT_EQ(c.data[r * c.stride + i], before[r * c.stride + i]) << "wrote outside of its columns";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Gemm,
                         testing::Combine(testing::ValuesIn(backends()),
                                          testing::Values(Case{Op::none, Op::none, 5, 7, 3, 1, 0},
                                                          Case{Op::none, Op::transpose, 64, 50, 78, 1, 0},
                                                          Case{Op::transpose, Op::none, 30, 17, 64, 1, 1},
                                                          Case{Op::transpose, Op::transpose, 9, 8, 7, 0.5F,
                                                               -2},
                                                          Case{Op::none, Op::transpose, 1, 10, 300, 1, 0},
                                                          Case{Op::transpose, Op::none, 12, 13, 1, 1, 0},
                                                          Case{Op::none, Op::none, 0, 4, 4, 1, 0},
                                                          Case{Op::none, Op::none, 4, 0, 4, 1, 0},
                                                          Case{Op::none, Op::none, 4, 4, 0, 1, 0.5F},
                                                          Case{Op::transpose, Op::none, 4, 5, 0, 1, 0})));

class GemmContract : public testing::TestWithParam<GemmBackend> {
 protected:
  void SetUp() override { set_blas_threads(1); }
};

TEST_P(GemmContract, BetaZeroDoesNotReadTheOldContent) {
  for (const std::size_t k : {0, 1, 64}) {
    const std::vector<float> ones(k * 20, 1.0F);
    std::vector<float> c(400, std::numeric_limits<float>::quiet_NaN());
    gemm(GetParam(), Op::none, {ones.data(), 20, k}, Op::none, {ones.data(), k, 20}, 1.0F, 0.0F,
         {c.data(), 20, 20});
    EXPECT_EQ(c, std::vector<float>(400, static_cast<float>(k)));
  }
}

TEST_P(GemmContract, InfoNamesTheLibrary) {
  const BlasInfo info = blas_info(GetParam());
  EXPECT_TRUE(info.config.starts_with(GetParam() == GemmBackend::openblas ? "OpenBLAS " : "oneDNN "))
      << info.config;
  EXPECT_FALSE(info.core.empty());
}

INSTANTIATE_TEST_SUITE_P(Backends, GemmContract, testing::ValuesIn(backends()), name_of);

TEST(GemmThreads, OneDnnStartsThoseThatAreAskedForAndNoneInAProduct) {
  if (!available(GemmBackend::onednn)) GTEST_SKIP() << "built without oneDNN";
  constexpr std::size_t size = 512;
  const std::vector<float> a(size * size, 1.0F);
  std::vector<float> c(size * size);
  for (const int threads : {1, 2}) {
    set_blas_threads(threads);
    const int before = threads_of_this_process();
    EXPECT_GE(before, threads);
    gemm(GemmBackend::onednn, Op::none, {a.data(), size, size}, Op::none, {a.data(), size, size}, 1.0F, 0.0F,
         {c.data(), size, size});
    EXPECT_EQ(threads_of_this_process(), before);
  }
}

TEST(GemmContractDeathTest, WrongShapesAbortWithTheValues) {
  std::vector<float> x(12);
  EXPECT_DEATH(gemm(GemmBackend::openblas, Op::none, {x.data(), 3, 4}, Op::none, {x.data(), 3, 4}, 1.0F, 0.0F,
                    {x.data(), 3, 4}),
               "op\\(A\\) 3 x 4, op\\(B\\) 3 x 4");
}

}  // namespace
}  // namespace fcmnist::kernels
