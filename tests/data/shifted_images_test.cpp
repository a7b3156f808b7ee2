#include "data/shifted_images.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace fcmnist::data {
namespace {

/// The same by definition: a pixel comes from `by.down` rows above and `by.right` columns to the left, or is 0.
std::vector<std::uint8_t> naive_shift(std::span<const std::uint8_t> image, int height, int width, Shift by) {
  std::vector<std::uint8_t> out;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int from_y = y - by.down, from_x = x - by.right;
      const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
      out.push_back(inside ? image[static_cast<std::size_t>(from_y * width + from_x)] : 0);
    }
  }
  return out;
}

TEST(ShiftedImages, MovesPixelsAndFillsWithTheBackground) {
  struct Size {
    int height, width;
  };
  for (const auto [height, width] : {Size{3, 5}, Size{28, 28}, Size{1, 2}, Size{4, 1}}) {
    const auto features = static_cast<std::size_t>(height * width);
    std::vector<std::uint8_t> images(4 * features), labels = {3, 1, 4, 1};
    for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::uint8_t>(1 + i % 255);
    const Dataset dataset = make_dataset(
        {4, static_cast<std::size_t>(height), static_cast<std::size_t>(width)}, 10, images, labels);
    ShiftedImages shifted(dataset, 3);
    const std::vector<std::uint32_t> ids = {2, 0, 3};
    for (const Shift by : shifts_up_to(3)) {  // further than some of these images are large
      const Samples samples = shifted.shift(ids, by);
      ASSERT_EQ(samples.ids.size(), 3U);
      EXPECT_EQ(samples.dataset->image_width, static_cast<std::size_t>(width));
      for (std::size_t s = 0; s < 3; ++s) {
        const auto found = samples.dataset->images.row(samples.ids[s]);
        EXPECT_EQ(std::vector<std::uint8_t>(found.begin(), found.end()),
                  naive_shift(dataset.images.row(ids[s]), height, width, by))
            << height << " x " << width << ", " << by.right << " to the right, " << by.down << " down";
        EXPECT_EQ(samples.dataset->labels[samples.ids[s]], labels[ids[s]]);
      }
    }
  }
}

TEST(ShiftedImages, ShiftsAreASquareAroundNone) {
  EXPECT_EQ(shifts_up_to(0), std::vector<Shift>{Shift{}});
  const auto nine = shifts_up_to(1);
  EXPECT_EQ(nine.size(), 9U);
  EXPECT_EQ(nine.front(), (Shift{-1, -1}));
  EXPECT_EQ(nine[4], Shift{});
  EXPECT_EQ(shifts_up_to(3).size(), 49U);
}

}  // namespace
}  // namespace fcmnist::data
