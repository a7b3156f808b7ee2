// BasicWorkspace of model/mlp.hpp.

#include <gtest/gtest.h>

#include "model/mlp.hpp"

namespace fcmnist::model {
namespace {

using kernels::GemmBackend;

const std::vector<std::size_t> widths = {784, 500, 300, 10};

Mlp layers(std::size_t begin, std::size_t end, Precision precision = Precision::float32) {
  MlpOptions options;
  options.precision = precision;
  return {widths, options, GemmBackend::openblas, {begin, end}};
}

TEST(Workspace, HasRoomForTheInputOfItsRunOfLayers) {
  const Mlp whole = layers(0, 3), back = layers(1, 3);
  const Workspace first(whole, 8), later(back, 8);
  EXPECT_EQ(first.input(5).rows, 5U);
  EXPECT_EQ(first.input(5).cols, 784U);
  EXPECT_EQ(first.d_input(5).data, nullptr);
  for (const MatrixView<float> view : {later.input(5), later.d_input(5)}) {
    EXPECT_EQ(view.rows, 500U);
    EXPECT_EQ(view.cols, 5U);
    EXPECT_EQ(view.stride, first.activation(0, 5).stride) << "the same bits as without a cut";
  }
}

TEST(Workspace, InFloatTheLossGradientIsInThePlaceOfTheLogits) {
  const Mlp whole = layers(0, 3), front = layers(0, 2);
  const Workspace ends(whole, 8), goes_on(front, 8);
  EXPECT_EQ(ends.logits(5).data, ends.d_output(5).data);
  EXPECT_EQ(ends.logits(5).rows, 10U);
  EXPECT_EQ(goes_on.logits(5).data, nullptr);
  EXPECT_NE(goes_on.output(5).data, goes_on.d_output(5).data);
}

TEST(Workspace, InHalfRowsHaveNoGapsAndLogitsAreFloats) {
  const Mlp whole = layers(0, 3);
  const BasicWorkspace<BFloat16> workspace(whole, 64);
  for (const std::size_t samples : {64U, 5U}) {
    EXPECT_EQ(workspace.activation(0, samples).stride, samples);
    EXPECT_EQ(workspace.delta(2, samples).stride, samples);
    EXPECT_EQ(workspace.logits(samples).stride, samples);
  }
  EXPECT_NE(static_cast<void*>(workspace.logits(64).data), static_cast<void*>(workspace.d_output(64).data));
}

TEST(Workspace, SaysHowManyBytesItTakes) {
  // Rows of 64 samples lie 80 numbers apart. The last layer's delta is in the place of its activation.
  EXPECT_EQ(workspace_bytes(layers(0, 3), 64), 4U * (64 * 784 + 2 * 80 * 500 + 2 * 80 * 300 + 80 * 10));
  EXPECT_EQ(workspace_bytes(layers(1, 3), 64), 4U * (2 * 80 * 500 + 2 * 80 * 300 + 80 * 10));
  for (const auto& [half, type] : {std::pair(Precision::bfloat16, kernels::HalfType::bfloat16),
                                   std::pair(Precision::float16, kernels::HalfType::float16)}) {
    const bool emulated = kernels::best_half_compute(type) == kernels::HalfCompute::emulated;
    const std::size_t sums = 64 * 784, widened = emulated ? 784 * 500 + 64 * 784 : 0;
    EXPECT_EQ(workspace_bytes(layers(0, 3, half), 64),
              2U * 64 * (784 + 2 * 500 + 2 * 300 + 10) + 4U * (64 * 10 + sums + widened));
    EXPECT_EQ(workspace_bytes(layers(0, 2, half), 64),
              2U * 64 * (784 + 2 * 500 + 2 * 300) + 4U * (sums + widened));
  }
}

}  // namespace
}  // namespace fcmnist::model
