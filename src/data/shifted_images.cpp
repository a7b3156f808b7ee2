#include "data/shifted_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/error.hpp"

namespace fcmnist::data {

namespace {

/// Places [first, first + count) of an axis of `size` pixels to which pixels from inside the image come.
struct Kept {
  std::size_t first = 0, count = 0, source = 0;

  Kept(std::size_t size, int shift) {
    const auto distance = std::min(static_cast<std::size_t>(shift < 0 ? -shift : shift), size);
    count = size - distance;
    (shift < 0 ? source : first) = distance;
  }
};

}  // namespace

std::vector<Shift> shifts_up_to(int pixels) {
  std::vector<Shift> shifts;
  for (int down = -pixels; down <= pixels; ++down) {
    for (int right = -pixels; right <= pixels; ++right) shifts.push_back({right, down});
  }
  return shifts;
}

ShiftedImages::ShiftedImages(const Dataset& dataset, std::size_t max_samples)
    : dataset_(&dataset),
      images_(max_samples * dataset.features()),
      labels_(max_samples),
      ids_(max_samples),
      shifted_(dataset) {
  std::iota(ids_.begin(), ids_.end(), 0U);
}

std::size_t ShiftedImages::bytes(std::size_t features, std::size_t max_samples) {
  return max_samples * (features + 1 + sizeof(std::uint32_t));
}

Samples ShiftedImages::shift(std::span<const std::uint32_t> ids, Shift by) {
  FCMNIST_CHECK(ids.size() <= ids_.size(), fmt::format("{} of {}", ids.size(), ids_.size()));
  const std::size_t features = dataset_->features(), width = dataset_->image_width;
  const Kept x(width, by.right), y(features / width, by.down);
  std::ranges::fill(images_, std::uint8_t{0});
  for (std::size_t s = 0; s < ids.size(); ++s) {
    const std::uint8_t* const from = dataset_->images.row(ids[s]).data();
    std::uint8_t* const to = images_.data() + s * features;
    for (std::size_t row = 0; row < y.count; ++row) {
      std::copy_n(from + (y.source + row) * width + x.source, x.count,
                  to + (y.first + row) * width + x.first);
    }
    labels_[s] = dataset_->labels[ids[s]];
  }
  shifted_.images = {images_.data(), ids.size(), features};
  shifted_.labels = std::span(labels_).first(ids.size());
  return {&shifted_, std::span(ids_).first(ids.size())};
}

}  // namespace fcmnist::data
