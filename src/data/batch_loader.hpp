#pragma once

#include <cstdint>
#include <span>

#include "core/half.hpp"
#include "core/matrix_view.hpp"
#include "core/sparse_rows.hpp"
#include "data/dataset.hpp"

namespace fcmnist::data {

/// What a pixel can be at most: pixels are divided by it.
inline constexpr double pixel_scale = 255.0;
/// Mean and standard deviation of MNIST's training pixels / pixel_scale, as in the reference.
inline constexpr double pixel_mean = 0.1307;
inline constexpr double pixel_deviation = 0.3081;

/// Gathers and normalises the samples of one microbatch: feature = (pixel / pixel_scale - pixel_mean)
/// / pixel_deviation. It is computed as one fused multiply-add: the result is within 2 units in the last place
/// of the formula, and it has the same bits in every build.
///   sample_ids  (rows)             each < dataset.samples()
///   features    (rows x features)  written; may have a stride. 16-bit numbers are rounded from the float.
/// Allocates nothing.
void fill_features(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                   MatrixView<float> features);
void fill_features(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                   MatrixView<BFloat16> features);
void fill_features(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                   MatrixView<Float16> features);

/// The same features as pixel values that are not zero, multiplied by a factor, and a constant that is added to all of
/// them: feature = pixels[sample][pixel] + feature_constant.
///   by_sample  (rows x features)  written
void fill_pixels(const Dataset& dataset, std::span<const std::uint32_t> sample_ids, SparseRows& by_sample);
/// Their transpose.
///   by_pixel  (features x rows)  written
void fill_pixels_transposed(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                            SparseRows& by_pixel);
/// Memory of both, at most.
std::size_t pixel_lists_bytes(std::size_t samples, std::size_t features);
/// The feature of a pixel that is 0.
inline constexpr auto feature_constant = static_cast<float>(-pixel_mean / pixel_deviation);

/// Gathers the labels of the samples of one microbatch.
///   sample_ids, labels  (rows)
void fill_labels(const Dataset& dataset, std::span<const std::uint32_t> sample_ids,
                 std::span<std::uint8_t> labels);

}  // namespace fcmnist::data
