#include "data/batch_loader.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstring>

#include "core/error.hpp"
#include "core/multiversion.hpp"

namespace fcmnist::data {

namespace {

constexpr auto scale = static_cast<float>(1.0 / (pixel_scale * pixel_deviation));

void normalise(const std::uint8_t* __restrict pixels, float* __restrict out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    out[i] = std::fma(static_cast<float>(pixels[i]), scale, feature_constant);
}

FCMNIST_ALSO_FOR_AVX512
void normalise(const std::uint8_t* __restrict pixels, BFloat16* __restrict out, std::size_t count) {
#pragma omp simd  // assigns plain integers: with whole structs the loop would stay scalar
  for (std::size_t i = 0; i < count; ++i) {
    out[i].bits = BFloat16(std::fma(static_cast<float>(pixels[i]), scale, feature_constant)).bits;
  }
}

FCMNIST_ALSO_FOR_AVX512
void normalise(const std::uint8_t* __restrict pixels, Float16* __restrict out, std::size_t count) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) {
    out[i].bits = Float16(std::fma(static_cast<float>(pixels[i]), scale, feature_constant)).bits;
  }
}

/// Tells the processor to load a row that is needed soon. Rows are drawn at random from tens of megabytes, so
/// the processor cannot guess the next one. This doubles the speed.
void prefetch(std::span<const std::uint8_t> row) {
  constexpr std::size_t cache_line_bytes = 64;
  for (std::size_t i = 0; i < row.size(); i += cache_line_bytes) __builtin_prefetch(row.data() + i);
}

void check_ids(const Dataset& dataset, std::span<const std::uint32_t> sample_ids) {
  for (const std::uint32_t id : sample_ids) {
    FCMNIST_CHECK(id < dataset.samples(), fmt::format("{} of {}", id, dataset.samples()));
  }
}

template <class T>
void fill_features_of(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                      MatrixView<T> features) {
  FCMNIST_CHECK(features.rows == sample_ids.size() && features.cols == dataset.features(),
                fmt::format("{} ids, features {} x {}, images of {}", sample_ids.size(), features.rows,
                            features.cols, dataset.features()));
  check_ids(dataset, sample_ids);
  for (std::size_t r = 0; r < sample_ids.size(); ++r) {
    if (r + 1 < sample_ids.size()) prefetch(dataset.images.row(sample_ids[r + 1]));
    normalise(dataset.images.row(sample_ids[r]).data(), features.row(r).data(), features.cols);
  }
}

/// Writes the pixels that are not zero, and returns how many they are. Without branches that depend on single
/// pixels: what is zero is overwritten by the next one.
std::size_t write_pixels(std::span<const std::uint8_t> image, SparseEntry* entries) {
  constexpr std::size_t word = 8;
  std::size_t count = 0, i = 0;
  const auto put = [&](std::size_t at, unsigned pixel) {
    entries[count] = {static_cast<std::uint32_t>(at), static_cast<float>(pixel) * scale};
    count += pixel != 0;
  };
  for (; i + word <= image.size(); i += word) {
    std::uint64_t pixels = 0;
    std::memcpy(&pixels, image.data() + i, word);
    if (pixels == 0) continue;  // most are: the border of an image
    for (std::size_t k = 0; k < word; ++k) put(i + k, (pixels >> (8 * k)) & 0xffU);
  }
  for (; i < image.size(); ++i) put(i, image[i]);
  return count;
}

}  // namespace

void fill_pixels(const Dataset& dataset, std::span<const std::uint32_t> sample_ids, SparseRows& pixels) {
  check_ids(dataset, sample_ids);
  pixels.clear(sample_ids.size() * dataset.features() + 1);  // a zero behind the last one is written too
  for (std::size_t r = 0; r < sample_ids.size(); ++r) {
    if (r + 1 < sample_ids.size()) prefetch(dataset.images.row(sample_ids[r + 1]));
    pixels.end_row(write_pixels(dataset.images.row(sample_ids[r]), pixels.next_row()));
  }
}

void fill_features(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                   MatrixView<float> features) {
  fill_features_of(dataset, sample_ids, features);
}
void fill_features(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                   MatrixView<BFloat16> features) {
  fill_features_of(dataset, sample_ids, features);
}
void fill_features(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                   MatrixView<Float16> features) {
  fill_features_of(dataset, sample_ids, features);
}

void fill_labels(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                 std::span<std::uint8_t> labels) {
  FCMNIST_CHECK(labels.size() == sample_ids.size(),
                fmt::format("{} ids, {} labels", sample_ids.size(), labels.size()));
  check_ids(dataset, sample_ids);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = dataset.labels[sample_ids[i]];
}

}  // namespace fcmnist::data
