#include "optim/update.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/random_matrix.hpp"

namespace fcmnist::optim {
namespace {

using test::random_numbers;

/// update_weights() of one gradient array.
void update(const OptimizerOptions& options, const UpdateStep& step, std::span<const float> gradient,
            std::span<float> weights, std::span<float> momentum) {
  const float* sources[] = {gradient.data()};
  const std::span<float> state[] = {momentum};
  update_weights(options, step, sources, weights, state);
}

struct Numbers {
  std::vector<float> gradient = random_numbers(100, 1);
  std::vector<float> weights = random_numbers(100, 2);
  std::vector<float> momentum = random_numbers(100, 3);
};

// The textbook form in double, written independently: one branch for each variant.
void reference(const OptimizerOptions& o, double lr, double scale, double g, double& w, double& m) {
  g *= scale;
  if (o.max_gradient_value > 0) g = std::fmin(std::fmax(g, -o.max_gradient_value), o.max_gradient_value);
  if (o.weight_decay_rate > 0) g += o.weight_decay_rate * w;
  if (o.momentum > 0) {
    m = o.momentum * m + g;
    g = o.use_nesterov ? g + o.momentum * m : m;
  } else {
    m = g;
  }
  w -= lr * g;
}

TEST(Sgd, EveryVariantAgreesWithTheTextbook) {
  for (const double momentum : {0.0, 0.9}) {
    for (const bool nesterov : {false, true}) {
      for (const double decay : {0.0, 0.01}) {
        for (const double limit : {0.0, 0.5}) {
          if (nesterov && momentum == 0.0) continue;
          OptimizerOptions options;
          options.momentum = momentum;
          options.use_nesterov = nesterov;
          options.weight_decay_rate = decay;
          options.max_gradient_value = limit;
          Numbers n;
          const Numbers before;
          update(options, {.learning_rate = 0.1, .gradient_scale = 0.5, .weight_decay = decay}, n.gradient,
                 n.weights, n.momentum);
          for (std::size_t i = 0; i < n.weights.size(); ++i) {
            double w = before.weights[i], m = before.momentum[i];
            reference(options, 0.1, 0.5, before.gradient[i], w, m);
            EXPECT_NEAR(n.weights[i], w, 1e-6);
            EXPECT_NEAR(n.momentum[i], m, 1e-6);
          }
        }
      }
    }
  }
}

TEST(Sgd, DoesNotDependOnHowTheArrayIsCutIntoBlocks) {
  OptimizerOptions options;
  options.weight_decay_rate = 1e-4;
  Numbers whole, parts;
  update(options, {.learning_rate = 0.1}, whole.gradient, whole.weights, whole.momentum);
  for (const auto& [begin, count] : {std::pair{0, 37}, {37, 1}, {38, 62}}) {
    update(options, {.learning_rate = 0.1}, std::span(parts.gradient).subspan(begin, count),
           std::span(parts.weights).subspan(begin, count), std::span(parts.momentum).subspan(begin, count));
  }
  EXPECT_EQ(whole.weights, parts.weights);
  EXPECT_EQ(whole.momentum, parts.momentum);
}

TEST(Sgd, AddsItsSourcesInOrderAndReturnsTheSquaredNorm) {
  OptimizerOptions options;
  const std::size_t count = 1000;
  std::vector<std::vector<float>> gradients;
  for (std::size_t rank = 0; rank < 5; ++rank) {
    gradients.push_back(random_numbers(count, 10 + rank));
    std::vector<const float*> sources;
    std::vector<float> sum = gradients[0];
    for (const auto& gradient : gradients) {
      sources.push_back(gradient.data());
      if (sources.size() == 1) continue;
      for (std::size_t i = 0; i < count; ++i) sum[i] += gradient[i];
    }
    double squares = 0.0;
    for (const float g : sum) squares += static_cast<double>(g) * g;

    std::vector<float> fused = random_numbers(count, 2), apart = fused, m_fused(count), m_apart(count);
    const std::span<float> state[] = {m_fused};
    EXPECT_NEAR(update_weights(options, {.learning_rate = 0.1}, sources, fused, state), squares,
                1e-5 * squares);
    update(options, {.learning_rate = 0.1}, sum, apart, m_apart);
    EXPECT_EQ(fused, apart) << sources.size() << " sources";
    EXPECT_EQ(m_fused, m_apart);
  }
}

TEST(ClipScale, BringsTheNormDownAndNeverUp) {
  EXPECT_EQ(clip_scale(5.0, 0.0), 1.0) << "0 is off";
  EXPECT_EQ(clip_scale(0.5, 1.0), 1.0);
  EXPECT_NEAR(clip_scale(5.0, 1.0) * 5.0, 1.0, 1e-6);
  EXPECT_EQ(clip_scale(0.0, 1.0), 1.0);
}

TEST(StateArrays, AreNamedAsPyTorchNamesThem) {
  EXPECT_EQ(state_arrays({}), std::vector<std::string_view>{"momentum_buffer"});
}

TEST(WeightAverage, IsTheMeanOfTheFirstStepsAndThenAnExponentialOne) {
  OptimizerOptions options;
  options.average_decay = 0.75;
  EXPECT_EQ(state_arrays(options), (std::vector<std::string_view>{"momentum_buffer", "weight_average"}));
  options.average_from_step = 2;
  const double shares[] = {1.0, 1.0, 1.0, 0.5, 1.0 / 3.0, 0.25, 0.25, 0.25};
  Numbers n;
  std::vector<float> average(n.weights.size());
  std::vector<double> expected(n.weights.size());
  const std::span<float> state[] = {n.momentum, average};
  for (std::size_t step = 0; step < std::size(shares); ++step) {
    const auto number = static_cast<std::int64_t>(step + 1);
    EXPECT_DOUBLE_EQ(average_share(options, number), shares[step]);
    const std::vector<float> gradient = random_numbers(n.weights.size(), static_cast<unsigned>(10 + step));
    const float* sources[] = {gradient.data()};
    update_weights(options, {.learning_rate = 0.5, .number = number}, sources, n.weights, state);
    for (std::size_t i = 0; i < average.size(); ++i) {
      expected[i] += shares[step] * (n.weights[i] - expected[i]);
      if (shares[step] == 1.0) {
        EXPECT_EQ(average[i], n.weights[i]) << "to the bit";
      }
      EXPECT_NEAR(average[i], expected[i], 1e-6);
    }
  }
}

TEST(LimitRows, ScalesDownLongRowsAloneAndAfterEachUpdate) {
  std::vector<float> weights = {3.0F, 4.0F, 0.3F, 0.4F, -6.0F, 8.0F, 0.0F, 0.0F};
  limit_rows(weights, 2, 2.0);
  const std::vector<float> expected = {1.2F, 1.6F, 0.3F, 0.4F, -1.2F, 1.6F, 0.0F, 0.0F};
  for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_FLOAT_EQ(weights[i], expected[i]) << i;

  OptimizerOptions options;
  options.max_weight_norm = 1.0;
  options.average_decay = 1.0;
  std::vector<float> updated(4, 0.0F), momentum(4), average(4);
  const std::vector<float> gradient = {-30.0F, -40.0F, -0.03F, -0.04F};
  const std::span<float> state[] = {momentum, average};
  const float* const sources[] = {gradient.data()};
  update_weights(options, {.learning_rate = 1.0, .row = 2}, sources, updated, state);
  const std::vector<float> bounded = {0.6F, 0.8F, 0.03F, 0.04F};
  for (std::size_t i = 0; i < updated.size(); ++i) EXPECT_FLOAT_EQ(updated[i], bounded[i]) << i;
  EXPECT_EQ(average, updated) << "what is averaged is what is kept";
  update_weights(options, {.learning_rate = 0.0, .row = 0}, sources, updated, state);
  EXPECT_FLOAT_EQ(updated[0], 0.6F);
}

TEST(LimitRows, LeavesNumbersThatAreNotFiniteToBeFound) {
  std::vector<float> weights = {std::numeric_limits<float>::quiet_NaN(), 1.0F};
  limit_rows(weights, 2, 0.5);
  EXPECT_TRUE(std::isnan(weights[0]));
  EXPECT_EQ(weights[1], 1.0F);
}

TEST(WeightAverage, OfEqualSharesIsTheMeanOfAllSteps) {
  OptimizerOptions options;
  options.average_decay = 1.0;
  for (const std::int64_t number : {1, 2, 10, 1'000'000}) {
    EXPECT_DOUBLE_EQ(average_share(options, number), 1.0 / static_cast<double>(number));
  }
}

TEST(WeightAverage, LeavesTheUpdateOfEveryRuleAlone) {
  using enum OptimizerType;
  for (const OptimizerType type : {sgd, adam, rmsprop, asgd, lars, lamb}) {
    OptimizerOptions plain;
    plain.type = type;
    OptimizerOptions averaging = plain;
    averaging.average_decay = 0.9;
    const std::size_t arrays = state_arrays(plain).size();
    ASSERT_EQ(state_arrays(averaging).size(), arrays + 1);
    std::vector<std::vector<float>> results;
    for (const OptimizerOptions& options : {plain, averaging}) {
      Numbers n;
      std::vector<std::vector<float>> numbers(state_arrays(options).size(), std::vector<float>(100));
      std::vector<std::span<float>> state(numbers.begin(), numbers.end());
      const UpdateStep step{.learning_rate = 0.1};
      if (has_two_phases(options)) prepare_update(options, step, n.gradient, n.weights, state);
      const float* sources[] = {n.gradient.data()};
      update_weights(options, step, sources, n.weights, state);
      results.push_back(n.weights);
      if (numbers.size() > arrays) {
        EXPECT_EQ(numbers.back(), n.weights) << "the first step is the average";
      }
    }
    EXPECT_EQ(results[0], results[1]) << static_cast<int>(type);
  }
}

}  // namespace
}  // namespace fcmnist::optim
