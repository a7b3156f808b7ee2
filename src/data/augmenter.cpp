#include "data/augmenter.hpp"

#include <fmt/format.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>

#include "core/counter_rng.hpp"
#include "core/error.hpp"

namespace fcmnist::data {

namespace {

constexpr std::size_t lanes = 8;

std::size_t padded_width(std::size_t width) { return (width + lanes - 1) / lanes * lanes; }
/// One column of zeros before an image, and behind it as many as a load of four bytes may touch.
std::size_t stride_of_padded(std::size_t width) { return padded_width(width) + lanes; }
std::size_t padded_bytes(std::size_t width, std::size_t height) {
  return stride_of_padded(width) * (height + 3);
}

/// Uniform in [-1, 1).
float uniform(std::uint32_t word) { return static_cast<float>(static_cast<std::int32_t>(word)) * 0x1p-31F; }
float uniform16(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int16_t>(word & 0xffffU)) * 0x1p-15F;
}

/// Sine and cosine of at most a quarter turn, in operations that have the same bits on every processor (those of libm have not):
/// the first terms of their series. Errors are below 1e-7.
struct Turn {
  double sine, cosine;
  explicit Turn(double angle) {
    const double a2 = angle * angle;
    sine = angle *
           (1.0 - a2 / 6.0 * (1.0 - a2 / 20.0 * (1.0 - a2 / 42.0 * (1.0 - a2 / 72.0 * (1.0 - a2 / 110.0)))));
    cosine =
        1.0 - a2 / 2.0 *
                  (1.0 - a2 / 12.0 *
                             (1.0 - a2 / 30.0 * (1.0 - a2 / 56.0 * (1.0 - a2 / 90.0 * (1.0 - a2 / 132.0)))));
  }
};

/// Weights of the control points at a place of an axis of `size` pixels: four of them are not 0.
std::array<float, 8> basis_at(std::size_t place, std::size_t size, std::size_t points) {
  std::array<float, 8> basis{};
  const double spans = static_cast<double>(points - 3);
  const double at = size > 1 ? spans * static_cast<double>(place) / static_cast<double>(size - 1) : 0.0;
  const auto first = std::min(static_cast<std::size_t>(at), points - 4);
  const double t = at - static_cast<double>(first), u = 1.0 - t;
  const double weights[] = {u * u * u / 6.0, (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
                            (3.0 * u * u * u - 6.0 * u * u + 4.0) / 6.0, t * t * t / 6.0};
  for (std::size_t k = 0; k < 4; ++k) basis[first + k] = static_cast<float>(weights[k]);
  return basis;
}

}  // namespace

Augmenter::Augmenter(const Dataset& dataset, const AugmentOptions& options, std::uint64_t seed,
                     std::size_t max_samples)
    : dataset_(&dataset),
      options_(options),
      seed_(seed),
      width_(dataset.image_width),
      height_(dataset.features() / dataset.image_width),
      padded_stride_(stride_of_padded(width_)),
      column_basis_(grid * padded_width(width_)),
      padded_(padded_bytes(width_, height_)),
      source_x_(padded_width(width_)),
      source_y_(padded_width(width_)),
      row_(padded_width(width_)),
      images_(max_samples * dataset.features()),
      labels_(max_samples),
      ids_(max_samples) {
  for (std::size_t y = 0; y < height_; ++y) row_basis_.push_back(basis_at(y, height_, grid));
  for (std::size_t x = 0; x < width_; ++x) {
    const auto basis = basis_at(x, width_, grid);
    for (std::size_t k = 0; k < grid; ++k) column_basis_.data()[k * padded_width(width_) + x] = basis[k];
  }
  std::iota(ids_.begin(), ids_.end(), 0U);
  augmented_ = dataset;
}

std::size_t Augmenter::bytes(const DatasetShape& image, std::size_t max_samples) {
  const std::size_t width = padded_width(image.cols);
  return max_samples * (image.features() + 1 + sizeof(std::uint32_t)) + padded_bytes(image.cols, image.rows) +
         image.rows * sizeof(row_basis_[0]) + (grid + 2) * width * sizeof(float) + width;
}

Samples Augmenter::augment(std::span<const std::uint32_t> ids, std::uint32_t epoch) {
  FCMNIST_CHECK(ids.size() <= ids_.size(), fmt::format("{} of {}", ids.size(), ids_.size()));
  const std::size_t features = dataset_->features();
  std::array<Words, blocks> words;
  const std::size_t used = options_.elastic > 0.0 ? blocks : 2;
  for (std::size_t first = 0; first < ids.size(); first += group) {
    const std::size_t count = std::min(group, ids.size() - first);
    std::array<std::uint32_t, group> drawn{};
    std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(first), count, drawn.begin());
    for (std::size_t n = 0; n < used; ++n) {
      CounterRng::blocks(seed_, Purpose::augmentation, epoch, drawn.data(), static_cast<std::uint32_t>(n),
                         words[n]);
    }
    for (std::size_t lane = 0; lane < count; ++lane) {
      const std::size_t s = first + lane;
      resample(dataset_->images.row(ids[s]), draw(words, lane), {images_.data() + s * features, features});
      labels_[s] = dataset_->labels[ids[s]];
    }
  }
  augmented_.images = {images_.data(), ids.size(), features};
  augmented_.labels = std::span(labels_).first(ids.size());
  return {&augmented_, std::span(ids_).first(ids.size())};
}

Augmenter::Mapping Augmenter::draw(const std::array<Words, blocks>& words, std::size_t lane) const {
  const auto number = [&](std::size_t n) { return static_cast<double>(uniform(words[n / 4][n % 4][lane])); };
  const Turn turn(number(0) * options_.rotation * std::numbers::pi / 180.0);
  const double scale_x = 1.0 + number(1) * options_.scale, scale_y = 1.0 + number(2) * options_.scale;
  const double shear = number(3) * options_.shear;
  // Rotation after scaling after shear of x by y.
  Mapping mapping;
  mapping.matrix = {static_cast<float>(turn.cosine * scale_x),
                    static_cast<float>(turn.cosine * scale_x * shear - turn.sine * scale_y),
                    static_cast<float>(turn.sine * scale_x),
                    static_cast<float>(turn.sine * scale_x * shear + turn.cosine * scale_y)};
  mapping.shift = {static_cast<float>(number(4) * options_.shift),
                   static_cast<float>(number(5) * options_.shift)};
  if (options_.elastic == 0.0) return mapping;
  // Of this standard deviation.
  const auto amplitude = static_cast<float>(options_.elastic * std::numbers::sqrt3);
  for (std::size_t k = 0; k < grid * grid; ++k) {
    const std::uint32_t word = words[2 + k / 4][k % 4][lane];
    mapping.control_x[k / grid][k % grid] = amplitude * uniform16(word);
    mapping.control_y[k / grid][k % grid] = amplitude * uniform16(word >> 16U);
  }
  return mapping;
}

void Augmenter::resample(std::span<const std::uint8_t> image, const Mapping& mapping,
                         std::span<std::uint8_t> out) {
  pad(image);
  for (std::size_t y = 0; y < height_; ++y) {
    fill_row(y, mapping);
    for (std::size_t x = 0; x < width_; x += lanes) interpolate(x);
    std::memcpy(out.data() + y * width_, row_.data(), width_);
  }
}

void Augmenter::pad(std::span<const std::uint8_t> image) {
  for (std::size_t y = 0; y < height_; ++y) {
    std::memcpy(padded_.data() + (y + 1) * padded_stride_ + 1, image.data() + y * width_, width_);
  }
}

/// Where the pixels of row y come from, in the padded image, whose first row and column are 0.
void Augmenter::fill_row(std::size_t y, const Mapping& mapping) {
  const std::size_t width = padded_width(width_);
  const auto centre_x = static_cast<float>(width_ - 1) * 0.5F,
             centre_y = static_cast<float>(height_ - 1) * 0.5F;
  const float v = static_cast<float>(y) - centre_y;
  const auto& [xx, xy, yx, yy] = mapping.matrix;
  const float begin_x = std::fma(xy, v, centre_x + mapping.shift[0] + 1.0F);
  const float begin_y = std::fma(yy, v, centre_y + mapping.shift[1] + 1.0F);
  float* const __restrict to_x = source_x_.data();
  float* const __restrict to_y = source_y_.data();
  for (std::size_t x = 0; x < width; ++x) {
    const float u = static_cast<float>(static_cast<int>(x)) - centre_x;
    to_x[x] = std::fma(xx, u, begin_x);
    to_y[x] = std::fma(yx, u, begin_y);
  }
  if (options_.elastic > 0.0) {
    std::array<float, 8> along_x{}, along_y{};  // the control points of this row
    for (std::size_t k = 0; k < grid; ++k) {
      const float weight = row_basis_[y][k];
      for (std::size_t j = 0; j < along_x.size(); ++j) {
        along_x[j] = std::fma(weight, mapping.control_x[k][j], along_x[j]);
        along_y[j] = std::fma(weight, mapping.control_y[k][j], along_y[j]);
      }
    }
    for (std::size_t j = 0; j < grid; ++j) {
      const float* const __restrict basis = column_basis_.data() + j * width;
      for (std::size_t x = 0; x < width; ++x) {
        to_x[x] = std::fma(basis[x], along_x[j], to_x[x]);
        to_y[x] = std::fma(basis[x], along_y[j], to_y[x]);
      }
    }
  }
  const auto last_x = static_cast<float>(width_ + 1), last_y = static_cast<float>(height_ + 1);
  for (std::size_t x = 0; x < width; ++x) {
    to_x[x] = std::min(std::max(to_x[x], 0.0F), last_x);
    to_y[x] = std::min(std::max(to_y[x], 0.0F), last_y);
  }
}

/// Pixels [begin, begin + 8) of a row, between the four pixels around their source.
void Augmenter::interpolate(std::size_t begin) {
#if defined(__AVX2__)
  const __m256 x = _mm256_loadu_ps(source_x_.data() + begin), y = _mm256_loadu_ps(source_y_.data() + begin);
  const __m256i left = _mm256_cvttps_epi32(x), top = _mm256_cvttps_epi32(y);
  const __m256 part_x = _mm256_sub_ps(x, _mm256_cvtepi32_ps(left));
  const __m256 part_y = _mm256_sub_ps(y, _mm256_cvtepi32_ps(top));
  const auto stride = static_cast<int>(padded_stride_);
  const __m256i at = _mm256_add_epi32(_mm256_mullo_epi32(top, _mm256_set1_epi32(stride)), left);
  const auto* const pixels = reinterpret_cast<const int*>(padded_.data());
  const auto between = [&](__m256i pair) {  // the two lowest bytes: a pixel, and the one to its right
    const __m256i byte = _mm256_set1_epi32(0xff);
    const __m256 a = _mm256_cvtepi32_ps(_mm256_and_si256(pair, byte));
    const __m256 b = _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(pair, 8), byte));
    return _mm256_fmadd_ps(part_x, _mm256_sub_ps(b, a), a);
  };
  const __m256 above = between(_mm256_i32gather_epi32(pixels, at, 1));
  const __m256 below =
      between(_mm256_i32gather_epi32(pixels, _mm256_add_epi32(at, _mm256_set1_epi32(stride)), 1));
  const __m256i numbers = _mm256_cvtps_epi32(_mm256_fmadd_ps(part_y, _mm256_sub_ps(below, above), above));
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(row_.data() + begin), _mm_packus_epi16(words, words));
#else
  for (std::size_t i = begin; i < begin + lanes; ++i) {
    const auto left = static_cast<std::size_t>(source_x_.data()[i]),
               top = static_cast<std::size_t>(source_y_.data()[i]);
    const float part_x = source_x_.data()[i] - static_cast<float>(left);
    const float part_y = source_y_.data()[i] - static_cast<float>(top);
    const auto between = [&](std::size_t row) {
      const auto a = static_cast<float>(padded_[row * padded_stride_ + left]);
      const auto b = static_cast<float>(padded_[row * padded_stride_ + left + 1]);
      return std::fma(part_x, b - a, a);
    };
    const float above = between(top), below = between(top + 1);
    row_[i] = static_cast<std::uint8_t>(std::nearbyint(std::fma(part_y, below - above, above)));
  }
#endif
}

}  // namespace fcmnist::data
