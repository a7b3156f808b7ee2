#include "kernels/sparse_products.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "core/multiversion.hpp"

namespace fcmnist::kernels {

namespace {

/// Vectors of `bytes` bytes. What lies in memory need not be aligned.
template <std::size_t bytes>
struct Vectors {
  // g++ 12 ignores the attribute in an alias of a template.
  typedef float Vector __attribute__((vector_size(bytes)));  // NOLINT(modernize-use-using)
  typedef float InMemory
      __attribute__((vector_size(bytes), aligned(4), may_alias));  // NOLINT(modernize-use-using)
  static constexpr std::size_t lanes = bytes / sizeof(float);
};

/// A slice of the outputs that lies in `count` registers.
///   row(i)  the numbers of the slice that entry i is multiplied with
template <std::size_t bytes, std::size_t count>
struct Slice {
  using Vector = typename Vectors<bytes>::Vector;
  using InMemory = typename Vectors<bytes>::InMemory;
  static constexpr std::size_t lanes = Vectors<bytes>::lanes;
  static constexpr std::size_t width = count * lanes;

  /// to = base + sum over the entries of value * rows[column]
  [[gnu::always_inline]] static void combine(std::span<const SparseEntry> entries, const float* rows,
                                             std::size_t stride, const float* base, float* to, bool add,
                                             std::size_t skip) {
    Vector sum[count];
    for (std::size_t v = 0; v < count; ++v) sum[v] = at(base + v * lanes);
    for (const SparseEntry& entry : entries) {
      const float* const row = rows + entry.column * stride;
      const Vector value = entry.value - Vector{};
      for (std::size_t v = 0; v < count; ++v) sum[v] += value * at(row + v * lanes);
    }
    if (add) {
      for (std::size_t v = 0; v < count; ++v) sum[v] += at(to + v * lanes);
    }
    if (skip == 0) {
      for (std::size_t v = 0; v < count; ++v) *reinterpret_cast<InMemory*>(to + v * lanes) = sum[v];
    } else {  // those that another slice has written
      std::memcpy(to + skip, reinterpret_cast<const float*>(sum) + skip, (width - skip) * sizeof(float));
    }
  }
  [[gnu::always_inline]] static const InMemory& at(const float* from) {
    return *reinterpret_cast<const InMemory*>(from);
  }
};

struct Operands {
  const SparseRows* sparse;
  std::size_t first, count;  ///< rows of it
  MatrixView<const float> dense;
  std::span<const float> base;
  bool add;
  MatrixView<float> out;  ///< count x outputs
};

template <class S>
[[gnu::always_inline]] inline void multiply_slice(const Operands& o, std::size_t begin, std::size_t skip) {
  for (std::size_t r = 0; r < o.count; ++r) {
    S::combine(o.sparse->row(o.first + r), o.dense.data + begin, o.dense.stride, o.base.data() + begin,
               o.out.data + r * o.out.stride + begin, o.add, skip);
  }
}

/// The outputs in slices, of which the dense operand stays in the second-level cache: wide ones, then vectors, and
/// the last vector once more as far as the others have not come.
template <std::size_t bytes, std::size_t wide>
[[gnu::always_inline]] inline void multiply(const Operands& o) {
  using Wide = Slice<bytes, wide>;
  using Narrow = Slice<bytes, 1>;
  const std::size_t outputs = o.out.cols;
  std::size_t begin = 0;
  for (; begin + Wide::width <= outputs; begin += Wide::width) multiply_slice<Wide>(o, begin, 0);
  for (; begin + Narrow::width <= outputs; begin += Narrow::width) multiply_slice<Narrow>(o, begin, 0);
  if (begin == outputs) return;
  const std::size_t last = outputs - Narrow::width;
  multiply_slice<Narrow>(o, last, begin - last);
}

void multiply_avx2(const Operands& o) { multiply<32, 8>(o); }

#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void multiply_avx512(const Operands& o) {
  multiply<64, 4>(o);
}
const bool has_avx512 = __builtin_cpu_supports("x86-64-v4") != 0;
#endif

void multiply(const Operands& o) {
#if defined(__x86_64__)
  if (has_avx512) return multiply_avx512(o);
#endif
  multiply_avx2(o);
}

void check(const Operands& o, std::size_t dense_rows) {
  FCMNIST_CHECK(o.first + o.count <= o.sparse->rows() && o.dense.rows == dense_rows &&
                    o.dense.cols == o.out.cols && o.base.size() == o.out.cols &&
                    o.out.cols >= least_sparse_outputs,
                fmt::format("rows {} to {} of {}, dense {} x {} of {}, base {}, out {} x {}", o.first,
                            o.first + o.count, o.sparse->rows(), o.dense.rows, o.dense.cols, dense_rows,
                            o.base.size(), o.out.rows, o.out.cols));
}

}  // namespace

void sparse_forward(const SparseRows& samples, MatrixView<const float> weight, std::span<const float> base,
                    MatrixView<float> out) {
  const Operands operands{&samples, 0, out.rows, weight, base, false, out};
  check(operands, weight.rows);
  multiply(operands);
}

void sparse_weight_gradient(const SparseRows& inputs, std::size_t first, MatrixView<const float> delta,
                            std::span<const float> base, bool add, MatrixView<float> out) {
  const Operands operands{&inputs, first, out.rows, delta, base, add, out};
  check(operands, delta.rows);
  multiply(operands);
}

FCMNIST_ALSO_FOR_AVX512
void sum_inputs(MatrixView<const float> weight, std::span<float> sums) {
  std::ranges::fill(sums, 0.0F);
  float* const __restrict to = sums.data();
  for (std::size_t i = 0; i < weight.rows; ++i) {
    const float* const from = weight.data + i * weight.stride;
    for (std::size_t o = 0; o < weight.cols; ++o) to[o] += from[o];
  }
}

}  // namespace fcmnist::kernels
