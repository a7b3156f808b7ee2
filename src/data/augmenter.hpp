#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/arena.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"

namespace fcmnist::data {

/// Distorts training images as they are loaded: a shift, rotation, scaling and shear, and an elastic distortion, composed into one
/// mapping and one bilinear resampling. What is outside the image is 0.
///
/// The mapping is a pure function of (seed, epoch, id of the sample): the same in every world, microbatch and run that goes on. All
/// numbers are drawn from uniform distributions. The elastic distortion is a displacement field, a cubic B-spline of 7 x 7 control
/// points, as smooth as the convolved noise of the source at a hundredth of its cost.
/// Source: Simard, Steinkraus, Platt, ICDAR 2003; affine part: Ciresan et al., Neural Computation 22, 2010.
class Augmenter {
 public:
  /// `dataset` must outlive it. Allocates all its memory.
  Augmenter(const Dataset& dataset, const AugmentOptions& options, std::uint64_t seed,
            std::size_t max_samples);

  /// Distorted images of these samples, with their labels. Valid until the next call.
  Samples augment(std::span<const std::uint32_t> ids, std::uint32_t epoch);

  /// Memory that it takes.
  static std::size_t bytes(const DatasetShape& image, std::size_t max_samples);

 private:
  static constexpr std::size_t grid = 7;
  static constexpr std::size_t group = 8;  ///< samples that draw at once
  static constexpr std::size_t blocks = 15;
  using Words = std::array<std::array<std::uint32_t, group>, 4>;

  /// Where a pixel of the new image comes from: source = matrix (place - centre) + centre + shift + field.
  struct Mapping {
    std::array<float, 4> matrix = {1.0F, 0.0F, 0.0F, 1.0F};  ///< x by x, x by y, y by x, y by y
    std::array<float, 2> shift = {};
    std::array<std::array<float, 8>, grid> control_x = {}, control_y = {};  ///< (grid rows x grid columns)
  };
  [[nodiscard]] Mapping draw(const std::array<Words, blocks>& words, std::size_t lane) const;
  void resample(std::span<const std::uint8_t> image, const Mapping& mapping, std::span<std::uint8_t> out);
  void pad(std::span<const std::uint8_t> image);
  void fill_row(std::size_t y, const Mapping& mapping);
  void interpolate(std::size_t begin);

  const Dataset* dataset_;
  AugmentOptions options_;
  std::uint64_t seed_;
  std::size_t width_, height_;
  std::size_t padded_stride_;
  std::vector<std::array<float, 8>> row_basis_;  ///< (height): of each row the weights of the grid's rows
  AlignedArray<float> column_basis_;             ///< (grid x width, padded)
  std::vector<std::uint8_t> padded_;             ///< the image with zeros around it
  AlignedArray<float> source_x_, source_y_;      ///< (width, padded) of one row
  std::vector<std::uint8_t> row_;                ///< (width, padded) of one row
  std::vector<std::uint8_t> images_, labels_;
  std::vector<std::uint32_t> ids_;
  Dataset augmented_;
};

}  // namespace fcmnist::data
