#include "kernels/half_layer_ops.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/convert.hpp"
#include "core/error.hpp"
#include "kernels/layer_ops.hpp"

namespace fcmnist::kernels {

namespace {

/// So many numbers are computed at a time; they stay in the first-level cache.
constexpr std::size_t chunk = 512;
using Chunk = std::array<float, chunk>;

template <class Half>
void bias_relu_of(MatrixView<const float> x, std::span<const float> bias, MatrixView<Half> out) {
  FCMNIST_CHECK(
      x.rows == out.rows && x.cols == out.cols && (bias.empty() || bias.size() == x.rows),
      fmt::format("{} x {} into {} x {}, {} biases", x.rows, x.cols, out.rows, out.cols, bias.size()));
  alignas(64) Chunk wide;
  for (std::size_t u = 0; u < x.rows; ++u) {
    const float b = bias.empty() ? 0.0F : bias[u];
    for (std::size_t begin = 0; begin < x.cols; begin += chunk) {
      const std::size_t count = std::min(chunk, x.cols - begin);
      const float* const in = x.row(u).data() + begin;
#pragma omp simd
      for (std::size_t i = 0; i < count; ++i) {
        const float v = in[i] + b;
        wide[i] = v < 0.0F ? 0.0F : v;  // keeps a NaN
      }
      convert(std::span<const float>(wide.data(), count), out.row(u).subspan(begin, count));
    }
  }
}

/// d = activation > 0 ? d : 0. A 16-bit number is greater than 0 if its bits are, taken as a signed integer.
/// A NaN without a sign counts as greater too, but then the loss is a NaN already.
template <class Half>
void relu_backward(std::span<Half> d, std::span<const Half> activation) {
  const std::size_t count = d.size();
  Half* __restrict out = d.data();
  const Half* __restrict a = activation.data();
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t bits = out[i].bits;
    out[i].bits = static_cast<std::int16_t>(a[i].bits) > 0 ? bits : std::uint16_t{0};
  }
}

template <class Half>
void scale_by(std::span<Half> x, float scale) {
  alignas(64) Chunk wide;
  for (std::size_t begin = 0; begin < x.size(); begin += chunk) {
    const std::span<Half> part = x.subspan(begin, std::min(chunk, x.size() - begin));
    const std::span<float> numbers(wide.data(), part.size());
    convert(std::span<const Half>(part), numbers);
    for (float& number : numbers) number *= scale;
    convert(std::span<const float>(numbers), part);
  }
}

template <class Half>
void relu_dropout_backward_of(MatrixView<Half> d, MatrixView<const Half> activation, float scale) {
  FCMNIST_CHECK(d.rows == activation.rows && d.cols == activation.cols,
                fmt::format("{} x {} and {} x {}", d.rows, d.cols, activation.rows, activation.cols));
  for (std::size_t u = 0; u < d.rows; ++u) {
    if (scale != 1.0F) scale_by(d.row(u), scale);
    relu_backward(d.row(u), activation.row(u));
  }
}

template <class Half>
void sum_samples_of(MatrixView<const Half> d, std::span<float> out, bool add) {
  FCMNIST_CHECK(out.size() == d.rows, fmt::format("{} sums, {} units", out.size(), d.rows));
  alignas(64) Chunk wide;
  for (std::size_t u = 0; u < d.rows; ++u) {
    if (!add) out[u] = 0.0F;
    for (std::size_t begin = 0; begin < d.cols; begin += chunk) {
      const std::size_t count = std::min(chunk, d.cols - begin);
      convert(d.row(u).subspan(begin, count), std::span(wide).first(count));
      sum_samples(MatrixView<const float>(wide.data(), 1, count), out.subspan(u, 1), true);
    }
  }
}

}  // namespace

void bias_relu(MatrixView<const float> x, std::span<const float> bias, MatrixView<BFloat16> out) {
  bias_relu_of(x, bias, out);
}
void bias_relu(MatrixView<const float> x, std::span<const float> bias, MatrixView<Float16> out) {
  bias_relu_of(x, bias, out);
}

void relu_dropout_backward(MatrixView<BFloat16> d, MatrixView<const BFloat16> activation, float scale) {
  relu_dropout_backward_of(d, activation, scale);
}
void relu_dropout_backward(MatrixView<Float16> d, MatrixView<const Float16> activation, float scale) {
  relu_dropout_backward_of(d, activation, scale);
}

void sum_samples(MatrixView<const BFloat16> d, std::span<float> out, bool add) {
  sum_samples_of(d, out, add);
}
void sum_samples(MatrixView<const Float16> d, std::span<float> out, bool add) { sum_samples_of(d, out, add); }

}  // namespace fcmnist::kernels
