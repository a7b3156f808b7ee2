#include "train/microbatch_schedule.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fcmnist::train {
namespace {

std::vector<MicrobatchAction> list(int stages, int stage, std::size_t count) {
  std::vector<MicrobatchAction> actions;
  for (const MicrobatchAction action : microbatch_schedule(stages, stage, count)) actions.push_back(action);
  return actions;
}

std::string text(int stages, int stage, std::size_t count) {
  std::string result;
  for (const MicrobatchAction action : list(stages, stage, count)) {
    result += (action.pass == Pass::forward ? " F" : " B") + std::to_string(action.microbatch);
  }
  return result;
}

TEST(MicrobatchSchedule, KnownLists) {
  EXPECT_EQ(text(1, 0, 3), " F0 B0 F1 B1 F2 B2");
  EXPECT_EQ(text(2, 0, 3), " F0 F1 B0 F2 B1 B2");
  EXPECT_EQ(text(2, 1, 3), " F0 B0 F1 B1 F2 B2");
  EXPECT_EQ(text(4, 0, 5), " F0 F1 F2 F3 B0 F4 B1 B2 B3 B4");
  EXPECT_EQ(text(4, 1, 5), " F0 F1 F2 B0 F3 B1 F4 B2 B3 B4");
  EXPECT_EQ(text(4, 0, 2), " F0 F1 B0 B1") << "fewer microbatches than stages";
  EXPECT_EQ(text(3, 0, 0), "");
}

TEST(MicrobatchSchedule, EachPassOnceInOrderAndBackwardAfterForward) {
  for (int stages = 1; stages <= 6; ++stages) {
    for (int stage = 0; stage < stages; ++stage) {
      for (std::size_t count = 0; count <= 12; ++count) {
        std::size_t forwards = 0, backwards = 0;
        for (const MicrobatchAction action : list(stages, stage, count)) {
          ASSERT_EQ(action.microbatch, action.pass == Pass::forward ? forwards++ : backwards++);
          ASSERT_LE(backwards, forwards);
          ASSERT_LE(forwards - backwards, most_in_flight(stages, stage));
        }
        EXPECT_EQ(forwards, count);
        EXPECT_EQ(backwards, count);
      }
    }
  }
}

/// Runs all stages, each as far as what it needs has been sent. Returns the time of the longest, where each
/// action takes 1.
std::size_t simulate(int stages, std::size_t count) {
  std::vector<std::vector<MicrobatchAction>> lists;
  for (int stage = 0; stage < stages; ++stage) lists.push_back(list(stages, stage, count));
  std::vector<std::size_t> next(lists.size(), 0), forwards(lists.size(), 0), backwards(lists.size(), 0);
  for (std::size_t time = 0;; ++time) {
    std::vector<std::size_t> ready;
    bool all_done = true;
    for (std::size_t s = 0; s < lists.size(); ++s) {
      if (next[s] == lists[s].size()) continue;
      all_done = false;
      const MicrobatchAction action = lists[s][next[s]];
      const bool waits = action.pass == Pass::forward
                             ? s > 0 && forwards[s - 1] <= action.microbatch
                             : s + 1 < lists.size() && backwards[s + 1] <= action.microbatch;
      if (!waits) ready.push_back(s);
    }
    if (all_done) return time;
    if (ready.empty()) {
      ADD_FAILURE() << "deadlock: " << stages << " stages, " << count << " microbatches";
      return 0;
    }
    for (const std::size_t s : ready) {
      ++(lists[s][next[s]].pass == Pass::forward ? forwards : backwards)[s];
      ++next[s];
    }
  }
}

TEST(MicrobatchSchedule, NoStageWaitsForEverAndTheBubbleIsTheLeast) {
  for (int stages = 1; stages <= 6; ++stages) {
    for (std::size_t count = 1; count <= 12; ++count) {
      EXPECT_EQ(simulate(stages, count), 2 * (count + static_cast<std::size_t>(stages) - 1));
    }
  }
}

}  // namespace
}  // namespace fcmnist::train
