#include "data/batch_loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
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

constexpr std::size_t group = SparseRows::group_rows;

/// Pixels of four rows of a sparse matrix in one column.
struct FourPixels {
  std::array<std::uint8_t, group> bytes{};

  [[nodiscard]] bool all_zero() const { return std::bit_cast<std::uint32_t>(bytes) == 0; }
  [[nodiscard]] SparseRows::Entry entry(std::size_t column) const {
    SparseRows::Entry entry{static_cast<std::uint32_t>(column)};
    for (std::size_t r = 0; r < group; ++r) entry.values[r] = static_cast<float>(bytes[r]) * scale;
    return entry;
  }
};

/// Writes the entries of four images, and returns how many they are. Without branches that depend on single pixels: an entry of
/// zeros is overwritten by the next one.
std::size_t write_group(const std::array<const std::uint8_t*, group>& images, std::size_t features,
                        SparseRows::Entry* entries) {
  constexpr std::size_t word = sizeof(std::uint64_t);
  std::size_t count = 0;
  const auto put = [&](std::size_t at) {
    FourPixels pixels;
    for (std::size_t r = 0; r < group; ++r) pixels.bytes[r] = images[r][at];
    entries[count] = pixels.entry(at);
    count += pixels.all_zero() ? 0 : 1;
  };
  std::size_t i = 0;
  for (; i + word <= features; i += word) {
    std::uint64_t any = 0;
    for (const std::uint8_t* image : images) {
      std::uint64_t pixels = 0;
      std::memcpy(&pixels, image + i, word);
      any |= pixels;
    }
    if (any == 0) continue;  // the border of images
    for (std::size_t k = 0; k < word; ++k) put(i + k);
  }
  for (; i < features; ++i) put(i);
  return count;
}

/// Room for all entries, and for one of zeros behind them.
std::size_t most_entries(std::size_t rows, std::size_t columns) {
  return SparseRows::groups_of(rows) * columns + 1;
}

}  // namespace

void fill_pixels(const Dataset& dataset, std::span<const std::uint32_t> sample_ids, SparseRows& by_sample) {
  check_ids(dataset, sample_ids);
  const std::size_t samples = sample_ids.size(), features = dataset.features();
  by_sample.clear(samples, most_entries(samples, features));
  for (std::size_t s = 0; s < samples; s += group) {
    std::array<const std::uint8_t*, group> images;
    for (std::size_t r = 0; r < group; ++r) {
      if (s + group + r < samples) prefetch(dataset.images.row(sample_ids[s + group + r]));
      images[r] = dataset.images.row(sample_ids[std::min(s + r, samples - 1)]).data();
    }
    by_sample.end_group(write_group(images, features, by_sample.next_group()));
  }
}

void fill_pixels_transposed(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                            SparseRows& by_pixel) {
  check_ids(dataset, sample_ids);
  const std::size_t samples = sample_ids.size(), features = dataset.features();
  by_pixel.clear(features, most_entries(features, samples));
  for (std::size_t first = 0; first < features; first += group) {
    const std::size_t pixels = std::min(group, features - first);
    SparseRows::Entry* const entries = by_pixel.next_group();
    std::size_t count = 0;
    for (std::size_t s = 0; s < samples; ++s) {
      FourPixels four;
      const std::uint8_t* const from = dataset.images.row(sample_ids[s]).data() + first;
      if (pixels == group) {  // of a known length: one load
        std::memcpy(four.bytes.data(), from, group);
      } else {
        std::memcpy(four.bytes.data(), from, pixels);
      }
      entries[count] = four.entry(s);  // one of zeros is overwritten by the next
      count += four.all_zero() ? 0 : 1;
    }
    by_pixel.end_group(count);
  }
}

std::size_t pixel_lists_bytes(std::size_t samples, std::size_t features) {
  const std::size_t entries = most_entries(samples, features) + most_entries(features, samples);
  const std::size_t groups = SparseRows::groups_of(samples) + SparseRows::groups_of(features);
  return entries * sizeof(SparseRows::Entry) + (groups + 2) * sizeof(std::size_t);
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
