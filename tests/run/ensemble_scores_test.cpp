#include "run/ensemble_scores.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace fcmnist::run {
namespace {

using Classes = std::vector<std::uint8_t>;

/// Logits of these probabilities, moved by a number that their softmax does not see.
std::vector<float> logits_of(std::initializer_list<double> probabilities, double moved_by) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + moved_by));
  return logits;
}

TEST(EnsembleScores, AreOfTheMeanProbabilities) {
  const Classes labels = {1, 0};
  EnsembleScores scores(labels, 2);
  scores.add(logits_of({0.6, 0.4, 0.7, 0.3}, 50.0), Classes{0, 0});
  scores.add(logits_of({0.1, 0.9, 0.6, 0.4}, -80.0), Classes{1, 0});
  const auto logits = scores.logits();
  const double expected[] = {0.35, 0.65, 0.65, 0.35};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(std::exp(logits[i]), expected[i], 1e-6);
  EXPECT_EQ(scores.predicted(), (Classes{1, 0}));
  EXPECT_EQ(scores.accuracy(scores.predicted()), 1.0);
  EXPECT_NEAR(scores.loss(), -std::log(0.65), 1e-6);
}

TEST(EnsembleScores, TheVoteCountsNetworksAndTheMeanTheirSureness) {
  const Classes labels = {2};
  EnsembleScores scores(labels, 3);
  scores.add(logits_of({0.5, 0.1, 0.4}, 0.0), Classes{0});
  scores.add(logits_of({0.5, 0.1, 0.4}, 0.0), Classes{0});
  scores.add(logits_of({0.05, 0.05, 0.9}, 0.0), Classes{2});
  EXPECT_EQ(scores.vote(), Classes{0});
  EXPECT_EQ(scores.predicted(), Classes{2});
  EXPECT_EQ(scores.accuracy(scores.vote()), 0.0);
}

TEST(EnsembleScores, OfEquallyManyVotesThatOfTheSurerNetworksWins) {
  const Classes labels = {0};
  EnsembleScores scores(labels, 3);
  scores.add(logits_of({0.6, 0.3, 0.1}, 0.0), Classes{0});
  scores.add(logits_of({0.1, 0.8, 0.1}, 0.0), Classes{1});
  EXPECT_EQ(scores.vote(), Classes{1});
}

TEST(EnsembleScores, AProbabilityOfZeroIsNoInfinity) {
  const Classes labels = {1};
  EnsembleScores scores(labels, 2);
  scores.add(std::vector<float>{2000.0F, -2000.0F}, Classes{0});
  EXPECT_TRUE(std::isfinite(scores.loss()));
  EXPECT_GT(scores.loss(), 600.0);
  EXPECT_TRUE(std::isfinite(scores.logits()[1]));
}

}  // namespace
}  // namespace fcmnist::run
