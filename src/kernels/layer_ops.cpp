#include "kernels/layer_ops.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

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

namespace {

constexpr std::size_t rng_lanes = 16;
constexpr std::size_t units_per_draw = 8 * rng_lanes;  // each unit takes 16 of the 128 bits of a block

/// 16 random bits for each of the units [group * units_per_draw, ...) of one sample.
void draw_units(const CounterRng& rng, std::size_t group, std::array<std::uint32_t, units_per_draw>& draws) {
  std::array<std::array<std::uint32_t, rng_lanes>, 4> words;
  rng.blocks<rng_lanes>(static_cast<std::uint32_t>(group * rng_lanes), words);
  for (std::size_t w = 0; w < words.size(); ++w) {
    for (std::size_t l = 0; l < rng_lanes; ++l) {
      draws[2 * w * rng_lanes + l] = words[w][l] & 0xffffU;
      draws[(2 * w + 1) * rng_lanes + l] = words[w][l] >> 16;
    }
  }
}

}  // namespace

void dropout(MatrixView<float> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key) {
  FCMNIST_CHECK(sample_ids.size() == x.rows, fmt::format("{} ids, {} rows", sample_ids.size(), x.rows));
  FCMNIST_CHECK(probability >= 0.0 && probability < 1.0, fmt::format("probability {}", probability));
  const auto threshold = static_cast<std::uint32_t>(probability * 65536.0);
  const auto scale = static_cast<float>(1.0 / (1.0 - probability));
  std::array<std::uint32_t, units_per_draw> draws;
  for (std::size_t r = 0; r < x.rows; ++r) {
    // Epoch and layer share one word of the key: 2^24 epochs, 256 layers.
    const CounterRng rng(key.seed, Purpose::dropout, key.epoch << 8 | key.layer, sample_ids[r]);
    float* __restrict row = x.row(r).data();
    for (std::size_t begin = 0; begin < x.cols; begin += units_per_draw) {
      draw_units(rng, begin / units_per_draw, draws);
      const std::size_t count = std::min(units_per_draw, x.cols - begin);
      for (std::size_t i = 0; i < count; ++i) {
        const float kept = row[begin + i] * scale;
        row[begin + i] = draws[i] < threshold ? 0.0F : kept;
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
    for (std::size_t c = 0; c < d.cols; ++c) {
      const float passed = out[c] * scale;  // always computed, so that the loop becomes vector code
      out[c] = a[c] > 0.0F ? passed : 0.0F;
    }
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
