#include "plan/exchange_simulation.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace fcmnist::plan {
namespace {

TEST(SimulateExchange, OfOneNodeTakeNothing) {
  EXPECT_EQ(simulate_exchange(std::vector<double>{0.0}, std::vector<double>{1e6}, 1, {1e9, 1e-3}), 0.0);
}

TEST(SimulateExchange, OnePartTakesItsBytesAndTheRounds) {
  const std::vector<double> written = {0.0}, bytes = {8e6};
  EXPECT_DOUBLE_EQ(simulate_exchange(written, bytes, 2, {1e9, 1e-3}), 8e-3 + 2e-3);
  EXPECT_DOUBLE_EQ(simulate_exchange(written, bytes, 4, {1e9, 1e-3}), 12e-3 + 4e-3);
  EXPECT_DOUBLE_EQ(simulate_exchange(written, bytes, 5, {1e9, 1e-3}), 12.8e-3 + 6e-3);
}

TEST(SimulateExchange, BackwardHidesWhatIsWrittenEarly) {
  const std::vector<double> bytes = {1e6, 1e6};
  const LinkRate link{1e9, 0.0};  // a part takes 1 ms between 2 nodes
  EXPECT_DOUBLE_EQ(simulate_exchange(std::vector<double>{-5e-3, 0.0}, bytes, 2, link), 1e-3);
  EXPECT_DOUBLE_EQ(simulate_exchange(std::vector<double>{-0.5e-3, 0.0}, bytes, 2, link), 1.5e-3);
  EXPECT_DOUBLE_EQ(simulate_exchange(std::vector<double>{-9e-3, -8e-3}, bytes, 2, link), 0.0);
}

TEST(SimulateExchange, AsManyPartsAreOnTheirWayAsASumHasRounds) {
  const LinkRate link{1e12, 1e-3};
  const auto parts = [&](std::size_t count, int nodes) {
    return simulate_exchange(std::vector<double>(count, 0.0), std::vector<double>(count, 1.0), nodes, link);
  };
  EXPECT_NEAR(parts(1, 2), 2e-3, 1e-9);  // two rounds
  EXPECT_NEAR(parts(4, 2), 2e-3, 1e-9);  // at least four parts at once
  EXPECT_NEAR(parts(5, 2), 4e-3, 1e-9);
  EXPECT_NEAR(parts(9, 2), 6e-3, 1e-9);
  EXPECT_NEAR(parts(6, 8), 6e-3, 1e-9);  // six rounds
  EXPECT_NEAR(parts(7, 8), 12e-3, 1e-9);
  EXPECT_NEAR(parts(8, 64), 12e-3, 1e-9);  // at most eight
  EXPECT_NEAR(parts(9, 64), 24e-3, 1e-9);
}

}  // namespace
}  // namespace fcmnist::plan
