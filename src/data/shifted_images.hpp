#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.hpp"

namespace fcmnist::data {

/// A shift by whole pixels.
struct Shift {
  int right = 0;
  int down = 0;

  bool operator==(const Shift&) const = default;
};

/// All shifts by up to so many pixels to each side: (2 pixels + 1)^2, row by row.
std::vector<Shift> shifts_up_to(int pixels);

/// Shifts images by whole pixels as they are loaded. What comes in from outside is 0, the background.
class ShiftedImages {
 public:
  /// `dataset` must outlive it. Allocates all its memory.
  ShiftedImages(const Dataset& dataset, std::size_t max_samples);

  /// Shifted images of these samples, with their labels. Valid until the next call.
  Samples shift(std::span<const std::uint32_t> ids, Shift by);

  /// Memory that it takes.
  ///   features  pixels of an image
  static std::size_t bytes(std::size_t features, std::size_t max_samples);

 private:
  const Dataset* dataset_;
  std::vector<std::uint8_t> images_, labels_;
  std::vector<std::uint32_t> ids_;
  Dataset shifted_;
};

}  // namespace fcmnist::data
