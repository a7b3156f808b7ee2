#include "kernels/sparse_products.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/error.hpp"

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

struct Operands {
  const SparseRows* sparse;
  float constant;
  std::size_t first;  ///< row of it that is the first of `out`
  MatrixView<const float> dense;
  std::span<const float> bias;
  bool relu;
  bool add;
  MatrixView<float> out;
};

/// `count` vectors of the columns of `dense` and `out`, from `begin` on: as many as the registers hold the sums of, for four rows.
/// The columns before `begin` + `skip` have been written already.
template <std::size_t bytes, std::size_t count>
struct Slice {
  using Vector = typename Vectors<bytes>::Vector;
  using InMemory = typename Vectors<bytes>::InMemory;
  static constexpr std::size_t lanes = Vectors<bytes>::lanes;
  static constexpr std::size_t group = SparseRows::group_rows;

  // "Unrolled" is said everywhere, for arrays stay in registers only then.
  [[gnu::always_inline]] static void multiply(const Operands& o, std::size_t begin, std::size_t skip) {
    // constant * (1 dense) + bias: where every sum begins.
    Vector base[count] = {};
    for (std::size_t r = 0; r < o.dense.rows; ++r) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < count; ++v) base[v] += at(o.dense, r, begin, v);
    }
#pragma GCC unroll 4
    for (std::size_t v = 0; v < count; ++v) {
      base[v] *= o.constant;
      if (!o.bias.empty()) base[v] += load(o.bias.data() + begin + v * lanes);
    }
    const std::size_t end = o.first + o.out.rows;
    for (std::size_t g = o.first / group; g * group < end; ++g) combine(o, g, base, begin, skip);
  }

 private:
  [[gnu::always_inline]] static const InMemory& load(const float* from) {
    return *reinterpret_cast<const InMemory*>(from);
  }
  [[gnu::always_inline]] static const InMemory& at(MatrixView<const float> m, std::size_t row,
                                                   std::size_t begin, std::size_t v) {
    return load(m.data + row * m.stride + begin + v * lanes);
  }

  /// The rows of one group.
  [[gnu::always_inline]] static void combine(const Operands& o, std::size_t g, const Vector (&base)[count],
                                             std::size_t begin, std::size_t skip) {
    Vector sum[group][count];
#pragma GCC unroll 4
    for (std::size_t r = 0; r < group; ++r) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < count; ++v) sum[r][v] = base[v];
    }
    for (const SparseRows::Entry& entry : o.sparse->group(g)) {
      Vector factor[count];
#pragma GCC unroll 4
      for (std::size_t v = 0; v < count; ++v) factor[v] = at(o.dense, entry.column, begin, v);
#pragma GCC unroll 4
      for (std::size_t r = 0; r < group; ++r) {
        const Vector value = entry.values[r] - Vector{};
#pragma GCC unroll 4
        for (std::size_t v = 0; v < count; ++v) sum[r][v] += value * factor[v];
      }
    }
#pragma GCC unroll 4
    for (std::size_t r = 0; r < group; ++r) {
      const std::size_t row = g * group + r - o.first;  // wraps around before the first
      if (row < o.out.rows) write(o, sum[r], o.out.data + row * o.out.stride + begin, skip);
    }
  }

  [[gnu::always_inline]] static void write(const Operands& o, Vector (&sum)[count], float* to,
                                           std::size_t skip) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < count; ++v) {
      Vector result = sum[v];
      if (o.relu) result = result < Vector{} ? Vector{} : result;  // keeps a NaN
      float* const place = to + v * lanes;
      if (o.add) result += load(place);
      if (v == 0 && skip > 0) {
        std::memcpy(place + skip, reinterpret_cast<const float*>(&result) + skip,
                    (lanes - skip) * sizeof(float));
      } else {
        *reinterpret_cast<InMemory*>(place) = result;
      }
    }
  }
};

/// The last `left` columns, which fill `count` vectors or less, in as few vectors as they need. The first of these reaches back over
/// columns that are done; where there are none, the last one does.
template <std::size_t bytes, std::size_t count>
[[gnu::always_inline]] inline void multiply_rest(const Operands& o, std::size_t left) {
  constexpr std::size_t lanes = Vectors<bytes>::lanes;
  if constexpr (count > 1) {
    if (left <= (count - 1) * lanes) return multiply_rest<bytes, count - 1>(o, left);
    if (o.out.cols < count * lanes) {
      Slice<bytes, count - 1>::multiply(o, 0, 0);
      return multiply_rest<bytes, 1>(o, left - (count - 1) * lanes);
    }
  }
  Slice<bytes, count>::multiply(o, o.out.cols - count * lanes, count * lanes - left);
}

/// A slice after the other: the part of `dense` that belongs to it stays in the second-level cache.
template <std::size_t bytes, std::size_t count>
[[gnu::always_inline]] inline void multiply(const Operands& o) {
  constexpr std::size_t width = count * Vectors<bytes>::lanes;
  std::size_t begin = 0;
  for (; begin + width <= o.out.cols; begin += width) Slice<bytes, count>::multiply(o, begin, 0);
  if (begin < o.out.cols) multiply_rest<bytes, count>(o, o.out.cols - begin);
}

// As many sums as registers hold: 4 x 3 of 16, 4 x 4 of 32.
void multiply_avx2(const Operands& o) { multiply<32, 3>(o); }

#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void multiply_avx512(const Operands& o) {
  multiply<64, 4>(o);
}
const bool has_avx512 = __builtin_cpu_supports("x86-64-v4") != 0;
#endif

void multiply(const Operands& o) {
  const std::size_t rows = o.sparse->rows();
  FCMNIST_CHECK(o.first + o.out.rows <= rows && o.sparse->groups() == SparseRows::groups_of(rows) &&
                    o.dense.cols == o.out.cols && o.out.cols >= least_sparse_outputs &&
                    (o.bias.empty() || o.bias.size() == o.out.cols),
                fmt::format("rows {} to {} of {} in {} groups, dense {} x {}, bias {}, out {} x {}", o.first,
                            o.first + o.out.rows, rows, o.sparse->groups(), o.dense.rows, o.dense.cols,
                            o.bias.size(), o.out.rows, o.out.cols));
#if defined(__x86_64__)
  if (has_avx512) return multiply_avx512(o);
#endif
  multiply_avx2(o);
}

}  // namespace

void sparse_hidden(const SparseRows& samples, float constant, MatrixView<const float> weight,
                   std::span<const float> bias, MatrixView<float> out) {
  multiply({&samples, constant, 0, weight, bias, true, false, out});
}

void sparse_weight_gradient(const SparseRows& inputs, std::size_t first, float constant,
                            MatrixView<const float> delta, bool add, MatrixView<float> out) {
  multiply({&inputs, constant, first, delta, {}, false, add, out});
}

}  // namespace fcmnist::kernels
