#include "setup/plan_in_effect.hpp"

#include <gtest/gtest.h>

namespace fcmnist::setup {
namespace {

using kernels::GemmBackend;

constexpr auto openblas = GemmBackend::openblas, onednn = GemmBackend::onednn;

TEST(DescribeLibraries, NamesTheExceptions) {
  const auto text = [](std::vector<model::LayerGemms> gemm) { return describe_libraries(gemm); };
  EXPECT_EQ(text({{openblas, openblas, openblas}}), "openblas");
  EXPECT_EQ(text({{onednn, openblas, onednn}}), "onednn") << "the first layer has no delta";
  EXPECT_EQ(text({{onednn, openblas, onednn}, {onednn, openblas, onednn}, {openblas, onednn, onednn}}),
            "onednn, but openblas for layer 1 delta, layer 2 forward");
  EXPECT_EQ(text({{openblas, openblas, onednn}}), "openblas, but onednn for layer 0 weight gradient");
}

TEST(DescribePlan, NamesWhatElseItHas) {
  config::Plan plan;
  plan.gemm = {{onednn, onednn, onednn}, {onednn, onednn, onednn}};
  EXPECT_EQ(describe(plan), "onednn");
  plan.exchange_streams = 2;
  plan.first_layers = {0, 1};
  EXPECT_EQ(describe(plan), "onednn; exchange_streams 2; stages begin at layers [0, 1]");
  plan.gemm.clear();
  EXPECT_EQ(describe(plan), "no library to choose; exchange_streams 2; stages begin at layers [0, 1]");
}

}  // namespace
}  // namespace fcmnist::setup
