#include "data/augmenter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "data/idx_fixtures.hpp"

namespace fcmnist::data {
namespace {

constexpr std::size_t height = 20, width = 28, features = height * width;

/// A set of images with one bright spot each, which is round and smooth.
struct Spots {
  std::vector<std::uint8_t> images, labels;
  Dataset dataset;

  explicit Spots(std::size_t samples, double x = 13.5, double y = 9.5)
      : images(samples * features), labels(samples) {
    for (std::size_t s = 0; s < samples; ++s) {
      labels[s] = static_cast<std::uint8_t>(s % 10);
      for (std::size_t i = 0; i < features; ++i) {
        const double dx = static_cast<double>(i % width) - x, dy = static_cast<double>(i / width) - y;
        images[s * features + i] = static_cast<std::uint8_t>(250.0 * std::exp(-(dx * dx + dy * dy) / 8.0));
      }
    }
    dataset = make_dataset({samples, height, width}, 10, images, labels);
  }
};

struct Place {
  double x = 0.0, y = 0.0;
};

/// The centre of the ink.
Place centre_of(std::span<const std::uint8_t> image) {
  Place sum;
  double ink = 0.0;
  for (std::size_t i = 0; i < image.size(); ++i) {
    sum.x += static_cast<double>(i % width) * image[i];
    sum.y += static_cast<double>(i / width) * image[i];
    ink += image[i];
  }
  return {sum.x / ink, sum.y / ink};
}

std::vector<std::uint32_t> ids_to(std::size_t samples) {
  std::vector<std::uint32_t> ids(samples);
  std::iota(ids.begin(), ids.end(), 0U);
  return ids;
}

/// Places of the spot in augmented images.
std::vector<Place> places(const AugmentOptions& options, double x = 13.5, double y = 9.5) {
  const Spots spots(200, x, y);
  Augmenter augmenter(spots.dataset, options, 1, 200);
  const auto ids = ids_to(200);
  const auto augmented = augmenter.augment(ids, 3);
  std::vector<Place> all;
  for (std::size_t s = 0; s < 200; ++s) all.push_back(centre_of(augmented.dataset->images.row(s)));
  return all;
}

template <class Of>
std::pair<double, double> range(const std::vector<Place>& all, Of of) {
  double least = 1e9, most = -1e9;
  for (const Place& place : all) least = std::min(least, of(place)), most = std::max(most, of(place));
  return {least, most};
}

TEST(Augmenter, ShiftsUpToItsBoundToEachSide) {
  const auto all = places({.shift = 3.0});
  for (const auto of :
       {+[](const Place& p) { return p.x - 13.5; }, +[](const Place& p) { return p.y - 9.5; }}) {
    const auto [least, most] = range(all, of);
    EXPECT_NEAR(least, -3.0, 0.15);
    EXPECT_NEAR(most, 3.0, 0.15);
  }
}

TEST(Augmenter, TurnsAboutTheCentre) {
  const auto all = places({.rotation = 30.0}, 20.5, 9.5);  // 7 pixels to the right of the centre
  for (const Place& place : all) EXPECT_NEAR(std::hypot(place.x - 13.5, place.y - 9.5), 7.0, 0.1);
  const auto [least, most] =
      range(all, [](const Place& p) { return std::atan2(p.y - 9.5, p.x - 13.5) * 180 / M_PI; });
  EXPECT_NEAR(least, -30.0, 1.0);
  EXPECT_NEAR(most, 30.0, 1.0);
}

TEST(Augmenter, ScalesEachAxisByItself) {
  const auto all = places({.scale = 0.2}, 18.5, 12.5);
  const auto [least_x, most_x] = range(all, [](const Place& p) { return (p.x - 13.5) / 5.0; });
  EXPECT_NEAR(least_x, 1.0 / 1.2, 0.02);
  EXPECT_NEAR(most_x, 1.0 / 0.8, 0.02);
  bool differ = false;
  for (const Place& place : all) differ |= std::abs((place.x - 13.5) / 5.0 - (place.y - 9.5) / 3.0) > 0.1;
  EXPECT_TRUE(differ);
}

TEST(Augmenter, ShearMovesRowsAsFarAsTheyAreFromTheCentre) {
  const auto all = places({.shear = 0.5}, 13.5, 13.5);  // 4 pixels below the centre
  for (const Place& place : all) EXPECT_NEAR(place.y, 13.5, 0.05);
  const auto [least, most] = range(all, [](const Place& p) { return p.x - 13.5; });
  EXPECT_NEAR(least, -2.0, 0.1);
  EXPECT_NEAR(most, 2.0, 0.1);
}

/// Of the standard deviation that a cubic B-spline leaves of its control points: 0.44 to 0.53 in the plane.
TEST(Augmenter, ElasticDistortionMovesPlacesDifferently) {
  const auto left = places({.elastic = 2.0}, 7.5, 9.5), right = places({.elastic = 2.0}, 19.5, 9.5);
  double squares = 0.0, product = 0.0;
  for (std::size_t s = 0; s < left.size(); ++s) {
    squares += (left[s].x - 7.5) * (left[s].x - 7.5);
    product += (left[s].x - 7.5) * (right[s].x - 19.5);
  }
  const double deviation = std::sqrt(squares / static_cast<double>(left.size()));
  EXPECT_GT(deviation, 0.35 * 2.0);
  EXPECT_LT(deviation, 0.65 * 2.0);
  EXPECT_LT(std::abs(product), 0.5 * squares) << "far places are hardly alike";
}

TEST(Augmenter, WithoutAnyDistortionImagesStayAsTheyAre) {
  const Spots spots(5);
  Augmenter augmenter(spots.dataset, {.shift = 1e-30}, 1, 5);
  const auto ids = ids_to(5);
  const auto augmented = augmenter.augment(ids, 0);
  EXPECT_TRUE(std::ranges::equal(spots.images, std::span(augmented.dataset->images.data, 5 * features)));
}

TEST(Augmenter, IsAFunctionOfSeedEpochAndSample) {
  const Spots spots(40);
  const AugmentOptions options{2.0, 20.0, 0.2, 0.2, 1.0};
  const auto image = [&](std::uint64_t seed, std::uint32_t epoch, std::vector<std::uint32_t> ids,
                         std::size_t at) {
    Augmenter augmenter(spots.dataset, options, seed, 40);
    augmenter.augment(ids_to(40), 9);  // what was done before does not matter
    const auto augmented = augmenter.augment(ids, epoch);
    EXPECT_EQ(augmented.ids.size(), ids.size());
    EXPECT_EQ(augmented.dataset->labels[at], spots.labels[ids[at]]);
    const auto row = augmented.dataset->images.row(augmented.ids[at]);
    return std::vector<std::uint8_t>(row.begin(), row.end());
  };
  const auto one = image(1, 2, {7}, 0);
  EXPECT_EQ(one, image(1, 2, {3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 7, 1}, 10)) << "wherever it lies in a batch";
  EXPECT_NE(one, image(2, 2, {7}, 0));
  EXPECT_NE(one, image(1, 3, {7}, 0));
  EXPECT_NE(one, image(1, 2, {8}, 0)) << "all images are alike";
}

TEST(Augmenter, WhatLiesOutsideIsEmpty) {
  Spots spots(50);
  std::ranges::fill(spots.images, std::uint8_t{200});
  Augmenter augmenter(spots.dataset, {.shift = 60.0}, 1, 50);
  const auto augmented = augmenter.augment(ids_to(50), 0);
  std::size_t empty = 0;
  for (std::size_t s = 0; s < 50; ++s) {
    const auto row = augmented.dataset->images.row(s);
    EXPECT_LE(std::ranges::max(row), 200);
    empty += std::ranges::max(row) == 0 ? 1 : 0;
  }
  EXPECT_GT(empty, 10U) << "shifted out";
  EXPECT_LT(empty, 50U);
}

/// make_golden_augmented.py has its own description of all this in NumPy, in double.
TEST(Augmenter, DistortsAsAnotherProgramDoes) {
  std::vector<std::uint8_t> images(20 * features), labels(20, 0);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto x = static_cast<double>(i % features % width), y = static_cast<double>(i % features / width);
    images[i] = static_cast<std::uint8_t>(
        std::clamp(std::round(120 + 60 * std::sin(0.7 * x) + 70 * std::sin(0.5 * y + 0.2 * x)), 0.0, 255.0));
  }
  const Dataset dataset = make_dataset({20, height, width}, 10, images, labels);
  std::ifstream file(GOLDEN_AUGMENTED);
  std::string word;
  std::size_t cases = 0;
  for (std::uint32_t sample = 0; file >> word >> sample; ++cases) {
    AugmentOptions options;
    file >> options.shift >> options.rotation >> options.scale >> options.shear >> options.elastic;
    Augmenter augmenter(dataset, options, 5, 1);
    const auto augmented = augmenter.augment({&sample, 1}, 3);
    for (std::size_t i = 0; i < features; ++i) {
      int expected = 0;
      file >> expected;
      ASSERT_NEAR(augmented.dataset->images.row(0)[i], expected, 1) << "sample " << sample << " pixel " << i;
    }
  }
  EXPECT_EQ(cases, 6U);
}

}  // namespace
}  // namespace fcmnist::data
