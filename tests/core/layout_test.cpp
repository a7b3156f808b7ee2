#include "core/layout.hpp"

#include <gtest/gtest.h>

namespace fcmnist {
namespace {

Layout mlp_layout() {
  Layout layout;
  layout.add("fc_layers.0.weight", 500, 784);
  layout.add("fc_layers.0.bias", 1, 500);
  layout.add("last_layer.weight", 10, 300);
  layout.add("wide", 3, 10'000);
  return layout;
}

TEST(Layout, SlotsAreAlignedAndDoNotOverlap) {
  const Layout layout = mlp_layout();
  std::size_t end = 0;
  for (const Slot& slot : layout.slots()) {
    EXPECT_EQ(slot.offset % Layout::alignment, 0U) << slot.name;
    EXPECT_GE(slot.offset, end) << slot.name;
    end = slot.offset + slot.count();
  }
  EXPECT_GE(layout.size(), end);
  EXPECT_EQ(layout.parameter_count(), 500U * 784 + 500 + 3'000 + 30'000);
}

TEST(Blocks, CoverEverySlotOnceAndNeverCrossOne) {
  const Layout layout = mlp_layout();
  const auto blocks = blocks_of(layout);
  std::size_t b = 0;
  for (std::size_t s = 0; s < layout.slots().size(); ++s) {
    std::size_t next = layout[s].offset;
    for (; b < blocks.size() && blocks[b].slot == s; ++b) {
      EXPECT_EQ(blocks[b].offset, next);
      EXPECT_GT(blocks[b].count, 0U);
      EXPECT_LE(blocks[b].count, 4096U);
      next += blocks[b].count;
    }
    EXPECT_EQ(next, layout[s].offset + layout[s].count()) << layout[s].name;
  }
  EXPECT_EQ(b, blocks.size());
}

TEST(Blocks, HoldWholeRowsWhereARowFits) {
  const Layout layout = mlp_layout();
  for (const Block& block : blocks_of(layout)) {
    const Slot& slot = layout[block.slot];
    if (slot.cols <= 4096) {
      EXPECT_EQ(block.count % slot.cols, 0U) << slot.name;
    }
  }
}

// Different ranks own the blocks. They must not write to one cache line.
TEST(Blocks, BeginAndEndWithACacheLineWhereRowsAllowIt) {
  Layout layout;
  layout.add("a", 500, 784);
  layout.add("b", 300, 500);
  layout.add("c", 100, 300);
  layout.add("d", 1000, 50);
  layout.add("e", 1000, 7);
  for (const Block& block : blocks_of(layout)) EXPECT_EQ(block.offset % Layout::alignment, 0U);
}

TEST(Blocks, ARowLongerThanABlockHasBlocksOfItsOwn) {
  Layout layout;
  layout.add("wide", 3, 9'001);
  std::size_t inside_row = 0;
  for (const Block& block : blocks_of(layout)) {
    inside_row += block.count;
    ASSERT_LE(inside_row, 9'001U);
    if (inside_row == 9'001) inside_row = 0;
  }
  EXPECT_EQ(inside_row, 0U);
}

}  // namespace
}  // namespace fcmnist
