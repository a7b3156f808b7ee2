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

TEST(SimulateExchange, BackwardHidesARoundForEachPartThatIsWritten) {
  const LinkRate link{1e9, 0.0};  // a part of 1 MB takes two rounds of 0.5 ms between 2 nodes
  const auto exposed_s = [&](const std::vector<double>& written) {
    return simulate_exchange(written, std::vector<double>(written.size(), 1e6), 2, link);
  };
  EXPECT_DOUBLE_EQ(exposed_s({0.0}), 1e-3);
  EXPECT_DOUBLE_EQ(exposed_s({-5e-3, 0.0}), 1.5e-3);  // the second round of the first part begins at the end
  EXPECT_DOUBLE_EQ(exposed_s({-5e-3, -3e-3, 0.0}), 1.5e-3);  // ... of the second part
  EXPECT_DOUBLE_EQ(exposed_s({-0.2e-3, 0.0}), 1.8e-3);       // the wire is never free
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
