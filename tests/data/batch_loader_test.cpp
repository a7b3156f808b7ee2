#include "data/batch_loader.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "data/idx_fixtures.hpp"

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
  SparseRows found;
  fill_pixels(dataset, ids, found);
  ASSERT_EQ(found.rows(), ids.size());
  for (std::size_t r = 0; r < ids.size(); ++r) {
    std::vector<float> row(features, feature_constant);
    for (const SparseEntry& entry : found.row(r)) {
      EXPECT_NE(pixels[ids[r] * features + entry.column], 0);
      row[entry.column] += entry.value;
    }
    for (std::size_t i = 0; i < features; ++i)
      EXPECT_NEAR(row[i], expected[r * features + i], 3e-7) << r << ' ' << i;
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
