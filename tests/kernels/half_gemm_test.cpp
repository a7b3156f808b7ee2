#include "kernels/half_gemm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/blas_threads.hpp"
#include "support/random_half.hpp"

namespace fcmnist::kernels {
namespace {

using test::random_halves;
using test::random_numbers;
using test::to_half;
using test::unit_roundoff;

constexpr auto backend = GemmBackend::openblas;

struct Case {
  Op op_a, op_b;
  std::size_t m, n, k, padding;
};

const Case cases[] = {
    {Op::none, Op::none, 5, 7, 3, 3},           {Op::none, Op::none, 50, 64, 78, 0},  // forward
    {Op::none, Op::transpose, 100, 33, 784, 0},  // forward, input as images lie in memory
    {Op::transpose, Op::none, 301, 17, 30, 0},   // deltas
    {Op::none, Op::transpose, 30, 51, 65, 0},    // weight gradients
    {Op::none, Op::transpose, 30, 51, 65, 5},    // weight gradients of a part of the samples
    {Op::transpose, Op::transpose, 9, 8, 7, 1}, {Op::none, Op::none, 10, 1, 300, 0},  // one sample
    {Op::none, Op::transpose, 12, 13, 1, 0},    {Op::transpose, Op::none, 12, 1, 1, 4},
    {Op::none, Op::none, 1, 1, 1, 0},           {Op::none, Op::none, 33, 65, 4099, 0},  // long sums
    {Op::none, Op::none, 0, 4, 4, 0},           {Op::none, Op::none, 4, 0, 4, 0},
    {Op::transpose, Op::none, 4, 5, 0, 2},
};

template <class T>
double element(Op op, MatrixView<T> x, std::size_t r, std::size_t c) {
  return static_cast<float>(op == Op::none ? x.row(r)[c] : x.row(c)[r]);
}

/// Operands of a case and the float64 product.
template <class Half>
class Problem {
 public:
  explicit Problem(const Case& shape)
      : shape_(shape),
        a_numbers_(random_halves<Half>((shape.m + shape.padding) * (shape.k + shape.padding), 1)),
        b_numbers_(random_halves<Half>((shape.k + shape.padding) * (shape.n + shape.padding), 2)) {}

  [[nodiscard]] MatrixView<const Half> a() const { return view(a_numbers_, shape_.op_a, shape_.m, shape_.k); }
  [[nodiscard]] MatrixView<const Half> b() const { return view(b_numbers_, shape_.op_b, shape_.k, shape_.n); }
  template <class T>
  [[nodiscard]] MatrixView<T> c(std::vector<T>& numbers) const {
    return {numbers.data(), shape_.m, shape_.n, shape_.n + shape_.padding};
  }
  [[nodiscard]] std::size_t c_size() const { return shape_.m * (shape_.n + shape_.padding); }

  struct Element {
    double value = 0.0;
    double fp32_error = 1e-37;  ///< bound of the sum in fp32: k 2^-24 sum |a b|, and what may count as zero
  };
  [[nodiscard]] Element exact(std::size_t r, std::size_t col) const {
    Element sum;
    double magnitude = 0.0;
    for (std::size_t i = 0; i < shape_.k; ++i) {
      const double product = element(shape_.op_a, a(), r, i) * element(shape_.op_b, b(), i, col);
      sum.value += product;
      magnitude += std::abs(product);
    }
    sum.fp32_error += static_cast<double>(shape_.k) * 0x1p-24 * magnitude;
    return sum;
  }

  /// check(row, column, exact element)
  template <class Check>
  void for_each(Check check) const {
    for (std::size_t r = 0; r < shape_.m; ++r) {
      for (std::size_t col = 0; col < shape_.n; ++col) check(r, col, exact(r, col));
    }
  }

  /// Checks that nothing but the elements of the matrix was written.
  template <class T>
  void expect_gaps(const std::vector<T>& numbers, T before) const {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (i % (shape_.n + shape_.padding) < shape_.n) continue;
      ASSERT_EQ(static_cast<float>(numbers[i]), static_cast<float>(before)) << "wrote outside of its columns";
    }
  }

 private:
  MatrixView<const Half> view(const std::vector<Half>& numbers, Op op, std::size_t rows,
                              std::size_t cols) const {
    if (op == Op::transpose) std::swap(rows, cols);
    return {numbers.data(), rows, cols, cols + shape_.padding};
  }

  Case shape_;
  std::vector<Half> a_numbers_, b_numbers_;
};

/// Calls test(gemm, shape) for every case in every way that this machine knows.
template <class Half, class Test>
void for_all(Test test) {
  set_blas_threads(1);
  const HalfCompute best = best_half_compute(half_type_of<Half>);
  for (const HalfCompute compute : {HalfCompute::emulated, best}) {
    HalfGemm<Half> gemm(compute == HalfCompute::emulated);
    for (const Case& shape : cases) {
      SCOPED_TRACE(testing::Message() << name_of(compute) << " " << shape.m << " x " << shape.n << " x "
                                      << shape.k << " + " << shape.padding);
      ASSERT_NO_FATAL_FAILURE(test(gemm, shape));
    }
  }
}

template <class Half>
class HalfGemmOf : public testing::Test {};
using Formats = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(HalfGemmOf, Formats);

TYPED_TEST(HalfGemmOf, ResultInFp32IsAsGoodAsFp32Sums) {
  for_all<TypeParam>([](HalfGemm<TypeParam>& gemm, const Case& shape) {
    const Problem<TypeParam> problem(shape);
    std::vector<float> c(problem.c_size(), std::numeric_limits<float>::quiet_NaN());  // must not be read
    for (const double times : {1.0, 2.0}) {                                           // written, then added
      if (times == 1.0 && shape.padding > 0) std::ranges::fill(c, -3.0F);
      gemm.product(backend, shape.op_a, problem.a(), shape.op_b, problem.b(), times > 1.0, problem.c(c));
      problem.for_each([&](std::size_t r, std::size_t col, const auto& exact) {
        ASSERT_NEAR(problem.c(c).row(r)[col], times * exact.value, 2 * times * exact.fp32_error)
            << r << "," << col;
      });
      if (shape.padding > 0) problem.expect_gaps(c, -3.0F);
    }
  });
}

TYPED_TEST(HalfGemmOf, ResultInHalfIsRoundedOnce) {
  for_all<TypeParam>([](HalfGemm<TypeParam>& gemm, const Case& shape) {
    const Problem<TypeParam> problem(shape);
    std::vector<TypeParam> c(problem.c_size(), TypeParam(-3.0F));
    gemm.product(backend, shape.op_a, problem.a(), shape.op_b, problem.b(), problem.c(c));
    problem.for_each([&](std::size_t r, std::size_t col, const auto& exact) {
      const double bound =
          unit_roundoff<TypeParam> * std::abs(exact.value) + 1.01 * exact.fp32_error + 0x1p-24;
      ASSERT_NEAR(static_cast<float>(problem.c(c).row(r)[col]), exact.value, bound) << r << "," << col;
    });
    problem.expect_gaps(c, TypeParam(-3.0F));
  });
}

TYPED_TEST(HalfGemmOf, BiasAndReluComeBeforeTheRounding) {
  for_all<TypeParam>([](HalfGemm<TypeParam>& gemm, const Case& shape) {
    const Problem<TypeParam> problem(shape);
    const auto bias = random_numbers(shape.m, 3);
    for (const bool with_bias : {true, false}) {
      std::vector<TypeParam> c(problem.c_size(), TypeParam(-3.0F));
      gemm.product_bias_relu(backend, shape.op_a, problem.a(), shape.op_b, problem.b(),
                             with_bias ? bias : std::vector<float>(), problem.c(c));
      problem.for_each([&](std::size_t r, std::size_t col, const auto& exact) {
        const double z = exact.value + (with_bias ? bias[r] : 0.0F);
        const double bound =
            (unit_roundoff<TypeParam> + 0x1p-24) * std::abs(z) + 1.01 * exact.fp32_error + 0x1p-24;
        ASSERT_NEAR(static_cast<float>(problem.c(c).row(r)[col]), std::max(z, 0.0), bound) << r << "," << col;
      });
      problem.expect_gaps(c, TypeParam(-3.0F));
    }
  });
}

TYPED_TEST(HalfGemmOf, OneNaNReachesTheLoss) {
  for_all<TypeParam>([](HalfGemm<TypeParam>& gemm, const Case& shape) {
    if (shape.m == 0 || shape.n == 0 || shape.k == 0) return;
    Problem<TypeParam> problem(shape);
    const_cast<TypeParam*>(problem.a().data)[0] = TypeParam(std::numeric_limits<float>::quiet_NaN());
    std::vector<TypeParam> c(problem.c_size());
    gemm.product_bias_relu(backend, shape.op_a, problem.a(), shape.op_b, problem.b(), {}, problem.c(c));
    EXPECT_TRUE(std::isnan(static_cast<float>(c[0])));
    gemm.product(backend, shape.op_a, problem.a(), shape.op_b, problem.b(), problem.c(c));
    EXPECT_TRUE(std::isnan(static_cast<float>(c[0])));
  });
}

// The products come again after others of the same shapes: only the code of a shape is kept, not its
// matrices.
TYPED_TEST(HalfGemmOf, WhatIsKeptForAShapeDoesNotKnowItsMatrices) {
  for_all<TypeParam>([](HalfGemm<TypeParam>& gemm, const Case& shape) {
    const Problem<TypeParam> one(shape), other(shape);
    if (shape.m * shape.k > 0) const_cast<TypeParam*>(other.a().data)[0] = TypeParam(50.0F);
    std::vector<float> first(one.c_size()), between(one.c_size()), again(one.c_size());
    gemm.product(backend, shape.op_a, one.a(), shape.op_b, one.b(), false, one.c(first));
    gemm.product(backend, shape.op_a, other.a(), shape.op_b, other.b(), false, one.c(between));
    gemm.product(backend, shape.op_a, one.a(), shape.op_b, one.b(), false, one.c(again));
    EXPECT_EQ(first, again);
    if (shape.m * shape.n * shape.k > 0) {
      EXPECT_NE(first, between);
    }
  });
}

TEST(HalfGemmRange, Float16BecomesInfiniteWhereBFloat16DoesNot) {
  const std::vector<float> numbers(8, 200.0F);
  const auto product_of = [&numbers]<class Half>(Half* c) {
    const auto x = to_half<Half>(numbers);
    HalfGemm<Half> gemm;
    gemm.product(backend, Op::none, {x.data(), 1, 8}, Op::none, {x.data(), 8, 1}, MatrixView<Half>(c, 1, 1));
  };
  Float16 overflown;
  BFloat16 finite;
  product_of(&overflown);
  product_of(&finite);
  EXPECT_EQ(static_cast<float>(overflown), std::numeric_limits<float>::infinity());
  EXPECT_NEAR(static_cast<float>(finite), 320'000.0F, 320'000.0F * 0x1p-8);
}

TEST(HalfGemmContractDeathTest, WrongShapesAbortWithTheValues) {
  std::vector<BFloat16> x(12);
  std::vector<float> c(12);
  HalfGemm<BFloat16> gemm;
  EXPECT_DEATH(gemm.product(backend, Op::none, {x.data(), 3, 4}, Op::none, {x.data(), 3, 4}, false,
                            MatrixView<float>(c.data(), 3, 4)),
               "op\\(A\\) 3 x 4, op\\(B\\) 3 x 4");
}

}  // namespace
}  // namespace fcmnist::kernels
