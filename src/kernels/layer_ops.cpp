#include "kernels/layer_ops.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.hpp"

namespace fcmnist::kernels {

void add_bias(MatrixView<float> x, std::span<const float> bias) {
  if (bias.empty()) return;
  FCMNIST_CHECK(bias.size() == x.rows, fmt::format("{} biases, {} units", bias.size(), x.rows));
  for (std::size_t u = 0; u < x.rows; ++u) {
    for (float& v : x.row(u)) v += bias[u];
  }
}

void add_bias_relu(MatrixView<float> x, std::span<const float> bias) {
  FCMNIST_CHECK(bias.empty() || bias.size() == x.rows,
                fmt::format("{} biases, {} units", bias.size(), x.rows));
  for (std::size_t u = 0; u < x.rows; ++u) {
    const float b = bias.empty() ? 0.0F : bias[u];
    // "v < 0 ? 0 : v" keeps a NaN, so that it reaches the loss and is found there.
    for (float& x_us : x.row(u)) {
      const float v = x_us + b;
      x_us = v < 0.0F ? 0.0F : v;
    }
  }
}

namespace {

constexpr std::size_t lanes = 16;
/// Samples that draw at once.
constexpr std::size_t samples_at_once = 8;
using Words = std::array<std::uint32_t, samples_at_once>;

/// A unit is dropped or kept by one 16-bit random number of its sample: number j of block n belongs to unit
/// 128 (n / 16) + n % 16 + 16 j. This is part of the checkpoint contract, as CounterRng is.
constexpr std::size_t draws_per_block = 8;
constexpr std::size_t units_per_group = draws_per_block * lanes;
constexpr std::size_t unit_of(std::size_t block, std::size_t draw) {
  return block / lanes * units_per_group + block % lanes + lanes * draw;
}

/// How the words of a block decide.
class Draws {
 public:
  Draws(double probability, DropoutKey key)
      : seed_(key.seed),
        epoch_and_layer_(key.epoch << 8 | key.layer),
        threshold_(static_cast<std::uint32_t>(probability * 65536.0)),
        scale_(static_cast<float>(1.0 / (1.0 - probability))) {
    FCMNIST_CHECK(probability >= 0.0 && probability < 1.0, fmt::format("probability {}", probability));
    FCMNIST_CHECK(key.layer < 256, fmt::format("layer {}", key.layer));
  }

  /// A block of up to 8 samples at once.
  void block(const Words& ids, std::size_t n, std::array<Words, 4>& words) const {
    CounterRng::blocks(seed_, Purpose::dropout, epoch_and_layer_, ids.data(), static_cast<std::uint32_t>(n),
                       words);
  }
  /// Drops or scales up to `most` numbers.
  ///   words  of a block or several, each of which has number `draw` of the block of one of the numbers
  template <class T, std::size_t most>
  void drop(T* x, std::size_t count, const std::array<std::uint32_t, most>& words, std::size_t draw) const {
    const unsigned shift = draw % 2 == 0 ? 0 : 16;
    std::array<float, most> factor;
#pragma omp simd  // else the compiler chooses branches, which nothing can predict
    for (std::size_t l = 0; l < most; ++l) {
      factor[l] = ((words[l] >> shift) & 0xffffU) < threshold_ ? 0.0F : scale_;
    }
    if (count == most) {
#pragma omp simd
      for (std::size_t l = 0; l < most; ++l) x[l] = T(static_cast<float>(x[l]) * factor[l]);
    } else {
      for (std::size_t l = 0; l < count; ++l) x[l] = T(static_cast<float>(x[l]) * factor[l]);
    }
  }

 private:
  std::uint64_t seed_;
  // Epoch and layer share one word of the key, which has room for 2^24 epochs and 256 layers.
  std::uint32_t epoch_and_layer_;
  std::uint32_t threshold_;
  float scale_;
};

template <class T>
void dropout_of(MatrixView<T> x, std::span<const std::uint32_t> sample_ids, double probability,
                DropoutKey key) {
  FCMNIST_CHECK(sample_ids.size() == x.cols, fmt::format("{} ids, {} samples", sample_ids.size(), x.cols));
  const Draws draws(probability, key);
  const std::size_t blocks = (x.rows + units_per_group - 1) / units_per_group * lanes;
  std::array<Words, 4> words;
  for (std::size_t first = 0; first < x.cols; first += samples_at_once) {
    const std::size_t samples = std::min(samples_at_once, x.cols - first);
    Words ids{};
    std::copy_n(sample_ids.begin() + static_cast<std::ptrdiff_t>(first), samples, ids.begin());
    for (std::size_t block = 0; block < blocks; ++block) {
      if (unit_of(block, 0) >= x.rows) continue;
      draws.block(ids, block, words);
      for (std::size_t draw = 0; draw < draws_per_block && unit_of(block, draw) < x.rows; ++draw) {
        draws.drop(x.row(unit_of(block, draw)).data() + first, samples, words[draw / 2], draw);
      }
    }
  }
}

/// The units of a draw of `lanes` blocks are neighbours, so the words of these blocks are put side by side.
template <class T>
void dropout_by_sample_of(MatrixView<T> x, std::span<const std::uint32_t> sample_ids, double probability,
                          DropoutKey key) {
  FCMNIST_CHECK(sample_ids.size() == x.rows, fmt::format("{} ids, {} samples", sample_ids.size(), x.rows));
  const Draws draws(probability, key);
  std::array<Words, 4> words;
  std::array<std::array<std::array<std::uint32_t, lanes>, 4>, samples_at_once> of_sample{};
  for (std::size_t first = 0; first < x.rows; first += samples_at_once) {
    const std::size_t samples = std::min(samples_at_once, x.rows - first);
    Words ids{};
    std::copy_n(sample_ids.begin() + static_cast<std::ptrdiff_t>(first), samples, ids.begin());
    for (std::size_t block = 0; unit_of(block, 0) < x.cols; block += lanes) {
      for (std::size_t b = 0; b < lanes && unit_of(block + b, 0) < x.cols; ++b) {
        draws.block(ids, block + b, words);
        for (std::size_t s = 0; s < samples; ++s) {
          for (std::size_t w = 0; w < words.size(); ++w) of_sample[s][w][b] = words[w][s];
        }
      }
      for (std::size_t s = 0; s < samples; ++s) {
        T* const row = x.row(first + s).data();
        for (std::size_t draw = 0; draw < draws_per_block && unit_of(block, draw) < x.cols; ++draw) {
          const std::size_t unit = unit_of(block, draw);
          draws.drop(row + unit, std::min(lanes, x.cols - unit), of_sample[s][draw / 2], draw);
        }
      }
    }
  }
}

}  // namespace

void dropout(MatrixView<float> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key) {
  dropout_of(x, sample_ids, probability, key);
}

void dropout(MatrixView<BFloat16> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key) {
  dropout_of(x, sample_ids, probability, key);
}

void dropout(MatrixView<Float16> x, std::span<const std::uint32_t> sample_ids, double probability,
             DropoutKey key) {
  dropout_of(x, sample_ids, probability, key);
}

void dropout_by_sample(MatrixView<float> x, std::span<const std::uint32_t> sample_ids, double probability,
                       DropoutKey key) {
  dropout_by_sample_of(x, sample_ids, probability, key);
}

void dropout_by_sample(MatrixView<BFloat16> x, std::span<const std::uint32_t> sample_ids, double probability,
                       DropoutKey key) {
  dropout_by_sample_of(x, sample_ids, probability, key);
}

void dropout_by_sample(MatrixView<Float16> x, std::span<const std::uint32_t> sample_ids, double probability,
                       DropoutKey key) {
  dropout_by_sample_of(x, sample_ids, probability, key);
}

void relu_dropout_backward(MatrixView<float> d, MatrixView<const float> activation, float scale) {
  FCMNIST_CHECK(d.rows == activation.rows && d.cols == activation.cols,
                fmt::format("{} x {} and {} x {}", d.rows, d.cols, activation.rows, activation.cols));
  for (std::size_t u = 0; u < d.rows; ++u) {
    float* __restrict out = d.row(u).data();
    const float* __restrict a = activation.row(u).data();
    for (std::size_t s = 0; s < d.cols; ++s) {
      const float passed = out[s] * scale;  // computed for every number, so that the loop becomes vector code
      out[s] = a[s] > 0.0F ? passed : 0.0F;
    }
  }
}

void sum_samples(MatrixView<const float> d, std::span<float> out, bool add) {
  FCMNIST_CHECK(out.size() == d.rows, fmt::format("{} sums, {} units", out.size(), d.rows));
  for (std::size_t u = 0; u < d.rows; ++u) {
    const float* __restrict row = d.row(u).data();
    std::array<float, lanes> partial{};  // independent sums, so that the loop becomes vector code
    std::size_t s = 0;
    for (; s + lanes <= d.cols; s += lanes) {
      for (std::size_t l = 0; l < lanes; ++l) partial[l] += row[s + l];
    }
    float sum = add ? out[u] : 0.0F;
    for (const float p : partial) sum += p;
    for (; s < d.cols; ++s) sum += row[s];
    out[u] = sum;
  }
}

}  // namespace fcmnist::kernels
