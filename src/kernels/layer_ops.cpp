#include "kernels/layer_ops.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"

namespace fcmnist::kernels {

void add_bias(MatrixView<float> x, std::span<const float> bias) {
  if (bias.empty()) return;
  FCMNIST_CHECK(bias.size() == x.cols, fmt::format("{} biases, {} columns", bias.size(), x.cols));
  for (std::size_t r = 0; r < x.rows; ++r) {
    float* __restrict row = x.row(r).data();
    for (std::size_t c = 0; c < x.cols; ++c) row[c] += bias[c];
  }
}

void add_bias_relu(MatrixView<float> x, std::span<const float> bias) {
  FCMNIST_CHECK(bias.empty() || bias.size() == x.cols,
                fmt::format("{} biases, {} columns", bias.size(), x.cols));
  for (std::size_t r = 0; r < x.rows; ++r) {
    float* __restrict row = x.row(r).data();
    // "v < 0 ? 0 : v" keeps a NaN, so that it reaches the loss and is found there.
    if (bias.empty()) {
      for (std::size_t c = 0; c < x.cols; ++c) row[c] = row[c] < 0.0F ? 0.0F : row[c];
    } else {
      const float* __restrict b = bias.data();
      for (std::size_t c = 0; c < x.cols; ++c) {
        const float v = row[c] + b[c];
        row[c] = v < 0.0F ? 0.0F : v;
      }
    }
  }
}

void dropout(MatrixView<float> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key) {
  FCMNIST_CHECK(sample_ids.size() == x.rows, fmt::format("{} ids, {} rows", sample_ids.size(), x.rows));
  FCMNIST_CHECK(probability >= 0.0 && probability < 1.0, fmt::format("probability {}", probability));
  const auto threshold = static_cast<std::uint32_t>(probability * 65536.0);
  const auto scale = static_cast<float>(1.0 / (1.0 - probability));
  constexpr std::size_t units_per_block = 8;  // 16 of the 128 bits of a block for each unit
  for (std::size_t r = 0; r < x.rows; ++r) {
    // Epoch and layer share one word of the key: 2^24 epochs, 256 layers.
    const CounterRng rng(key.seed, Purpose::dropout, key.epoch << 8 | key.layer, sample_ids[r]);
    const std::span<float> row = x.row(r);
    for (std::size_t c = 0; c < x.cols; c += units_per_block) {
      const auto bits = rng.block(static_cast<std::uint32_t>(c / units_per_block));
      const std::size_t end = std::min(c + units_per_block, x.cols);
      for (std::size_t i = c; i < end; ++i) {
        const std::size_t lane = i - c;
        const std::uint32_t draw = (bits[lane / 2] >> (lane % 2 * 16)) & 0xffffU;
        row[i] = draw < threshold ? 0.0F : row[i] * scale;
      }
    }
  }
}

void relu_dropout_backward(MatrixView<float> d, MatrixView<const float> activation, float scale) {
  FCMNIST_CHECK(d.rows == activation.rows && d.cols == activation.cols,
                fmt::format("{} x {} and {} x {}", d.rows, d.cols, activation.rows, activation.cols));
  for (std::size_t r = 0; r < d.rows; ++r) {
    float* __restrict out = d.row(r).data();
    const float* __restrict a = activation.row(r).data();
    for (std::size_t c = 0; c < d.cols; ++c) out[c] = a[c] > 0.0F ? out[c] * scale : 0.0F;
  }
}

void sum_rows(MatrixView<const float> d, std::span<float> out, bool add) {
  FCMNIST_CHECK(out.size() == d.cols, fmt::format("{} sums, {} columns", out.size(), d.cols));
  if (!add) std::fill(out.begin(), out.end(), 0.0F);
  float* __restrict sum = out.data();
  for (std::size_t r = 0; r < d.rows; ++r) {
    const float* __restrict row = d.row(r).data();
    for (std::size_t c = 0; c < d.cols; ++c) sum[c] += row[c];
  }
}

}  // namespace fcmnist::kernels
