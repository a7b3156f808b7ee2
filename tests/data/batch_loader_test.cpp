#include "data/batch_loader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/idx_fixtures.hpp"
#include "support/sparse_rows.hpp"

namespace fcmnist::data {
namespace {

constexpr float untouched = -1234.5F;

class BatchLoader : public ::testing::TestWithParam<std::size_t> {};

TEST_P(BatchLoader, GathersAndNormalisesLikeTheFormula) {
  const std::size_t features = GetParam(), samples = 300, stride = features + 3;
  const auto pixels = testing::ramp(samples * features);
  const auto labels = testing::ramp(samples, 5);
  const Dataset dataset = make_dataset({samples, features, 1}, 256, pixels, labels);
  const std::vector<std::uint32_t> ids = {299, 0, 17, 17, 42};
  std::vector<float> out(ids.size() * stride, untouched);
  std::vector<std::uint8_t> out_labels(ids.size());
  fill_features(dataset, ids, {out.data(), ids.size(), features, stride});
  fill_labels(dataset, ids, out_labels);
  for (std::size_t r = 0; r < ids.size(); ++r) {
    EXPECT_EQ(out_labels[r], labels[ids[r]]);
    for (std::size_t i = 0; i < features; ++i) {
      const double expected = (pixels[ids[r] * features + i] / 255.0 - 0.1307) / 0.3081;
      ASSERT_NEAR(out[r * stride + i], expected, 3e-7) << r << ' ' << i;
    }
    for (std::size_t i = features; i < stride; ++i)
      EXPECT_EQ(out[r * stride + i], untouched) << "beyond the row";
  }
}

TEST_P(BatchLoader, PixelsThatAreNotZeroAndTheConstantAreTheFeatures) {
  const std::size_t features = GetParam(), samples = 30;
  auto pixels = testing::ramp(samples * features);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (i % 11 < 8 || i / features == 4) pixels[i] = 0;  // one image is empty
  }
  const Dataset dataset = make_dataset({samples, features, 1}, 256, pixels, testing::ramp(samples));
  const std::vector<std::uint32_t> ids = {29, 4, 0, 17, 17};
  std::vector<float> expected(ids.size() * features);
  fill_features(dataset, ids, {expected.data(), ids.size(), features});
  SparseRows by_sample, by_pixel;
  for (const std::size_t count : {ids.size(), std::size_t{1}, std::size_t{4}}) {  // memory is used again
    const auto some = std::span(ids).first(count);
    fill_pixels(dataset, some, by_sample);
    fill_pixels_transposed(dataset, some, by_pixel);
    ASSERT_EQ(by_sample.rows(), count);
    ASSERT_EQ(by_pixel.rows(), features);
    const auto rows = test::dense_of(by_sample, features), columns = test::dense_of(by_pixel, count);
    for (std::size_t r = 0; r < count; ++r) {
      for (std::size_t i = 0; i < features; ++i) {
        const float value = rows[r * features + i];
        EXPECT_NEAR(value + feature_constant, expected[r * features + i], 3e-7) << r << ' ' << i;
        EXPECT_EQ(value, columns[i * count + r]) << r << ' ' << i;
      }
    }
    for (std::size_t g = 0; g < by_sample.groups(); ++g) {
      for (std::size_t e = 0; e < by_sample.group(g).size(); ++e) {
        const auto& entry = by_sample.group(g)[e];
        EXPECT_TRUE(e == 0 || entry.column > by_sample.group(g)[e - 1].column) << "in order";
        EXPECT_TRUE(std::ranges::any_of(entry.values, [](float v) { return v != 0.0F; }));
      }
    }
  }
}

// The widths are those around the width of vector registers, and the real one.
INSTANTIATE_TEST_SUITE_P(Features, BatchLoader, ::testing::Values(1, 7, 8, 9, 31, 33, 784));

TEST(BatchLoader, EveryPixelValueIsRight) {
  std::vector<std::uint8_t> pixels(256), labels(256, 0);
  for (int i = 0; i < 256; ++i) pixels[i] = static_cast<std::uint8_t>(i);
  const Dataset dataset = make_dataset({1, 16, 16}, 10, pixels, std::span(labels).first(1));
  const std::uint32_t id = 0;
  std::vector<float> out(256);
  fill_features(dataset, {&id, 1}, {out.data(), 1, 256});
  for (int i = 0; i < 256; ++i) EXPECT_NEAR(out[i], (i / 255.0 - 0.1307) / 0.3081, 3e-7);
}

template <class Half>
class HalfBatchLoader : public ::testing::Test {};
using HalfTypes = ::testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(HalfBatchLoader, HalfTypes);

TYPED_TEST(HalfBatchLoader, RoundsTheFloatOfEveryPixelValue) {
  std::vector<std::uint8_t> pixels(256), labels(256, 0);
  for (int i = 0; i < 256; ++i) pixels[i] = static_cast<std::uint8_t>(i);
  const Dataset dataset = make_dataset({1, 16, 16}, 10, pixels, std::span(labels).first(1));
  const std::uint32_t id = 0;
  std::vector<float> floats(256);
  std::vector<TypeParam> halves(256);
  fill_features(dataset, {&id, 1}, MatrixView<float>(floats.data(), 1, 256));
  fill_features(dataset, {&id, 1}, MatrixView<TypeParam>(halves.data(), 1, 256));
  for (int i = 0; i < 256; ++i) EXPECT_EQ(halves[i].bits, TypeParam(floats[i]).bits) << i;
}

TEST(BatchLoader, AnEmptyShareIsNothingToDo) {
  const Dataset dataset{};
  fill_features(dataset, {}, MatrixView<float>(nullptr, 0, 0));
  fill_labels(dataset, {}, {});
}

TEST(BatchLoaderDeathTest, ASampleOutsideTheDataIsADefect) {
  const std::vector<std::uint8_t> pixels(4), labels(1);
  const Dataset dataset = make_dataset({1, 2, 2}, 10, pixels, labels);
  std::vector<float> out(4);
  std::vector<std::uint8_t> out_labels(1);
  const std::vector<std::uint32_t> ids = {1};
  EXPECT_DEATH(fill_features(dataset, ids, {out.data(), 1, 4}), "1 of 1");
  EXPECT_DEATH(fill_labels(dataset, ids, out_labels), "1 of 1");
}

}  // namespace
}  // namespace fcmnist::data
