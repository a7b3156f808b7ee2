#include "core/hang_watch.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace fcmnist {
namespace {

const std::string error = "the library hangs\n";
constexpr double long_s = 1000.0;

void tick(int times) {
  for (int i = 0; i < times; ++i) std::raise(SIGALRM);
}

TEST(HangWatch, EndsACallThatNeverReturns) {
  const auto hang = [] {
    const HangWatch watch(error, {0.0, long_s});
    HangWatch::begin(false);
    for (;;) pause();
  };
  EXPECT_EXIT(hang(), testing::ExitedWithCode(5), "the library hangs");
}

TEST(HangWatch, BeginsBeforeTheCallToo) {
  const auto hang = [] {
    HangWatch::begin(false);
    const HangWatch watch(error, {0.0, long_s});
    for (;;) pause();
  };
  EXPECT_EXIT(hang(), testing::ExitedWithCode(5), "the library hangs");
}

TEST(HangWatch, HasThePatienceThatItIsGiven) {
  const auto last_for = [](int seconds) {
    const HangWatch watch(error, {3.0, 1.0});
    tick(1 + seconds);
    std::_Exit(0);
  };
  EXPECT_EXIT(last_for(2), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(last_for(3), testing::ExitedWithCode(5), "the library hangs");
}

TEST(HangWatch, IsLessPatientInAHurry) {
  const auto last_for = [](int seconds) {
    const HangWatch watch(error, {long_s, 2.0});
    HangWatch::begin(true);
    tick(1 + seconds);
    std::_Exit(0);
  };
  EXPECT_EXIT(last_for(1), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(last_for(2), testing::ExitedWithCode(5), "the library hangs");
}

TEST(HangWatch, CallsThatReturnAreFineHoweverManyThereAre) {
  const auto live = [] {
    for (int call = 0; call < 10; ++call) {
      {
        const HangWatch watch(error, {3.0, 3.0});
        tick(3);
      }
      tick(10);  // between calls nothing is watched
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(live(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace fcmnist
