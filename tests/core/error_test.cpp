#include "core/error.hpp"

#include <gtest/gtest.h>

#include "core/log.hpp"

namespace fcmnist {
namespace {

TEST(Error, CarriesCodeTextAndHint) {
  const DataError error("train-images: 3 bytes, expected 16", "fetch it again");
  EXPECT_EQ(error.code(), ExitCode::data);
  EXPECT_STREQ(error.what(), "train-images: 3 bytes, expected 16\n  HINT: fetch it again");
  EXPECT_FALSE(error.agreed());
  EXPECT_TRUE(error.as_agreed().agreed());
  EXPECT_STREQ(error.as_agreed().what(), error.what());
}

TEST(Logger, RefusesAnUnknownLevelAndTakesTheKnownOnesInAnyCase) {
  EXPECT_THROW(make_logger("loud", true), UsageError);
  for (const char* level : {"DEBUG", "info", "Warning", "ERROR"}) EXPECT_NO_THROW(make_logger(level, true));
}

}  // namespace
}  // namespace fcmnist
