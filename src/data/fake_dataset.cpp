#include "data/fake_dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "core/counter_rng.hpp"
#include "core/error.hpp"

namespace fcmnist::data {

namespace {

constexpr int side = 28;
constexpr std::size_t pixels = 784;  // side * side
constexpr int max_shift = 2;
constexpr int prototypes_per_class = 2;
constexpr int blobs_per_prototype = 5;
constexpr float noise_amplitude = 110;
// The patterns are one fixed data set, not a part of the experiment: they do not depend on the run's seed.
constexpr std::uint64_t fixed_seed = 0;

// The first key of the random numbers. Each split has its own, so that no two splits share a sample.
enum class Stream : std::uint32_t { train = 0, test = 1, prototypes = 2 };

using Picture = std::array<float, pixels>;  // numbers from 0 to 1

/// A sum of Gaussian blobs of random place and width.
Picture prototype(std::uint32_t index) {
  const CounterRng rng(fixed_seed, Purpose::fake_data, static_cast<std::uint32_t>(Stream::prototypes), index);
  Picture picture{};
  for (std::uint32_t blob = 0; blob < blobs_per_prototype; ++blob) {
    const double x = 5 + 18 * rng.uniform(3 * blob);
    const double y = 5 + 18 * rng.uniform(3 * blob + 1);
    const double width = 1.5 + 2 * rng.uniform(3 * blob + 2);
    for (int i = 0; i < side * side; ++i) {
      const int row = i / side, col = i % side;
      const double squared_distance = std::pow(col - x, 2) + std::pow(row - y, 2);
      picture[i] += static_cast<float>(std::exp(-squared_distance / (2 * width * width)));
    }
  }
  for (float& pixel : picture) pixel = std::min(pixel, 1.0F);
  return picture;
}

/// Draws one sample: a shifted prototype with noise in each pixel. The noise is the mean of two uniform
/// numbers, which is roughly normal.
void draw(const Picture& from, int shift_x, int shift_y, const CounterRng& noise,
          std::span<std::uint8_t> to) {
  std::array<std::uint32_t, 4> random{};
  for (int i = 0; i < side * side; ++i) {
    if (i % 4 == 0)
      random = noise.block(static_cast<std::uint32_t>(i / 4 + 1));  // block 0 chose what to draw
    const int x = i % side - shift_x, y = i / side - shift_y;
    const bool inside = 0 <= x && x < side && 0 <= y && y < side;
    const std::uint32_t bits = random[i % 4];
    const auto two_uniforms =
        static_cast<float>((bits & 0xFFFF) + (bits >> 16)) / 65536.0F;  // 0 .. 2, mean 1
    const float ink = inside ? 140 * from[y * side + x] : 0;
    to[i] =
        static_cast<std::uint8_t>(std::clamp(ink + noise_amplitude * (two_uniforms - 0.5F), 0.0F, 255.0F));
  }
}

}  // namespace

DatasetShape fake_dataset_shape(Split split) {
  return {split == Split::train ? std::size_t{12'000} : std::size_t{2'000}, side, side};
}

void fill_fake(Split split, const DatasetShape& shape, int num_classes, std::span<std::uint8_t> images,
               std::span<std::uint8_t> labels) {
  FCMNIST_CHECK(shape == fake_dataset_shape(split), to_string(shape));
  FCMNIST_CHECK(images.size() == shape.image_bytes() && labels.size() == shape.samples,
                fmt::format("{} bytes, {} labels", images.size(), labels.size()));
  FCMNIST_CHECK(1 <= num_classes && num_classes <= 256, std::to_string(num_classes));
  std::vector<Picture> prototypes;
  prototypes.reserve(static_cast<std::size_t>(num_classes) * prototypes_per_class);
  for (int p = 0; p < num_classes * prototypes_per_class; ++p) prototypes.push_back(prototype(p));
  const Stream stream = split == Split::train ? Stream::train : Stream::test;
  for (std::uint32_t s = 0; s < shape.samples; ++s) {
    const CounterRng rng(fixed_seed, Purpose::fake_data, static_cast<std::uint32_t>(stream), s);
    const auto choice = rng.block(0);
    const std::uint32_t p = choice[0] % static_cast<std::uint32_t>(prototypes.size());
    const int shift_x = static_cast<int>(choice[1] % (2 * max_shift + 1)) - max_shift;
    const int shift_y = static_cast<int>(choice[2] % (2 * max_shift + 1)) - max_shift;
    draw(prototypes[p], shift_x, shift_y, rng, images.subspan(s * shape.features(), shape.features()));
    labels[s] = static_cast<std::uint8_t>(p / prototypes_per_class);
  }
}

}  // namespace fcmnist::data
