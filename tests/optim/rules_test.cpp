#include "optim/rules.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "support/random_matrix.hpp"

namespace fcmnist::optim {
namespace {

// As in make_golden_updates.py.
constexpr int steps = 100;
constexpr std::size_t count = 2;
constexpr std::array<float, count> start = {0.5F, -0.3F};

double gradient(int step, std::size_t i) {
  const auto t = static_cast<double>(step), k = static_cast<double>(i);
  return std::cos(0.37 * t + k) + 0.3 * std::sin(1.7 * t * (k + 1.0));
}

double learning_rate(int step) { return 0.01 * (1.0 + 0.5 * std::cos(0.1 * step)); }

/// Weights after each step, by variant.
std::map<std::string, std::vector<std::array<double, count>>> golden() {
  std::map<std::string, std::vector<std::array<double, count>>> all;
  std::ifstream file(GOLDEN_UPDATES);
  std::string line, name;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    if (line.starts_with("#")) continue;
    if (line.starts_with("variant ")) {
      words >> name >> name;
    } else {
      std::array<double, count>& weights = all[name].emplace_back();
      for (double& weight : weights) words >> weight;
    }
  }
  return all;
}

struct Variant {
  std::string name;
  OptimizerType type;
  std::function<void(OptimizerOptions&)> change = [](OptimizerOptions&) {};
  bool constant_rate = false;
  const char* array = "fc_layers.0.weight";
};

const std::vector<Variant>& variants() {
  using O = OptimizerOptions;
  using enum OptimizerType;
  const auto decays = [](O& o) { o.weight_decay_rate = 0.1; };
  static const std::vector<Variant> all = {
      {"sgd", sgd},
      {"sgd_momentum_decay", sgd, [=](O& o) { decays(o), o.momentum = 0.9; }},
      {"sgd_nesterov", sgd, [](O& o) { o.momentum = 0.8, o.use_nesterov = true; }},
      {"adam", adam},
      {"adam_decay_betas", adam, [=](O& o) { decays(o), o.beta1 = 0.8, o.beta2 = 0.95, o.eps = 1e-3; }},
      {"adam_amsgrad", adam, [](O& o) { o.amsgrad = true, o.beta2 = 0.9; }},
      {"adamw", adamw, decays},
      {"adamw_amsgrad", adamw, [=](O& o) { decays(o), o.amsgrad = true, o.beta2 = 0.9; }},
      {"adamax", adamax, decays},
      {"nadam", nadam, decays},
      {"nadam_momentum_decay", nadam, [](O& o) { o.momentum_decay = 0.1, o.beta1 = 0.95, o.beta2 = 0.99; }},
      {"radam", radam, decays},
      {"radam_betas", radam, [](O& o) { o.beta1 = 0.8, o.beta2 = 0.9; }},
      {"rmsprop", rmsprop, decays},
      {"rmsprop_momentum", rmsprop, [](O& o) { o.momentum = 0.9, o.alpha = 0.9, o.eps = 1e-3; }},
      {"rmsprop_centered", rmsprop, [](O& o) { o.centered = true, o.momentum = 0.5, o.alpha = 0.95; }},
      {"rprop", rprop, [](O&) {}, true},
      {"rprop_limits", rprop,
       [](O& o) { o.eta1 = 0.4, o.eta2 = 1.5, o.step_size_min = 1e-3, o.step_size_max = 0.02; }, true},
      {"adagrad", adagrad, decays},
      {"adagrad_decay", adagrad, [](O& o) { o.lr_decay = 0.1, o.initial_accumulator_value = 0.5; }},
      {"adadelta", adadelta, [=](O& o) { decays(o), o.rho = 0.8; }},
      {"asgd", asgd, [=](O& o) { decays(o), o.lambd = 0.05, o.alpha = 0.6, o.t0 = 10.0; }, true},
      {"lion", lion, decays},
      {"lion_betas", lion, [](O& o) { o.beta1 = 0.5, o.beta2 = 0.8; }},
      {"lars", lars, [=](O& o) { decays(o), o.momentum = 0.9, o.trust_coefficient = 0.5; }},
      {"lars_nesterov", lars,
       [](O& o) { o.momentum = 0.8, o.use_nesterov = true, o.trust_coefficient = 2.0, o.eps = 0.1; }},
      {"lars_left_out", lars, [=](O& o) { decays(o), o.momentum = 0.9, o.trust_coefficient = 0.5; }, false,
       "fc_layers.0.bias"},
      {"lamb", lamb, decays},
      {"lamb_betas", lamb, [](O& o) { o.beta1 = 0.8, o.beta2 = 0.95, o.eps = 1e-3; }},
      {"lamb_without_bias_correction", lamb,
       [=](O& o) { decays(o), o.beta2 = 0.99, o.correct_bias = false; }},
      {"lamb_left_out", lamb, decays, false, "fc_layers.0.bias"},
  };
  return all;
}

OptimizerOptions options_of(const Variant& variant) {
  OptimizerOptions options;
  options.type = variant.type;
  variant.change(options);
  return options;
}

/// State of a rule for so many weights.
class State {
 public:
  State(const OptimizerOptions& options, std::size_t numbers)
      : arrays_(state_arrays(options).size(), std::vector<float>(numbers)) {
    for (auto& array : arrays_) views_.emplace_back(array);
  }
  [[nodiscard]] std::span<const std::span<float>> views() const { return views_; }
  [[nodiscard]] const std::vector<std::vector<float>>& arrays() const { return arrays_; }

 private:
  std::vector<std::vector<float>> arrays_;
  std::vector<std::span<float>> views_;
};

/// One step of a whole array, in two phases where the rule has two. `step` need not have weight decay and trust ratio.
void update_array(const OptimizerOptions& options, const char* array, UpdateStep step,
                  std::span<const float> gradient, std::span<float> weights, const State& state) {
  step.weight_decay = weight_decay_of(options, array);
  if (has_two_phases(options)) {
    const BlockSquares squares = prepare_update(options, step, gradient, weights, state.views());
    step.trust_ratio = trust_ratio(options, array, std::sqrt(squares.weights), std::sqrt(squares.direction));
  }
  const float* sources[] = {gradient.data()};
  update_weights(options, step, sources, weights, state.views());
}

class Rules : public testing::TestWithParam<Variant> {};

TEST_P(Rules, FollowAnotherProgramForAHundredSteps) {
  const auto all = golden();
  ASSERT_TRUE(all.contains(GetParam().name));
  const auto& expected = all.at(GetParam().name);
  ASSERT_EQ(expected.size(), static_cast<std::size_t>(steps));
  const OptimizerOptions options = options_of(GetParam());
  State state(options, count);
  auto weights = start;
  for (int step = 1; step <= steps; ++step) {
    std::array<float, count> gradients;
    for (std::size_t i = 0; i < count; ++i) gradients[i] = static_cast<float>(gradient(step, i));
    update_array(options, GetParam().array,
                 {.learning_rate = learning_rate(GetParam().constant_rate ? 1 : step), .number = step},
                 gradients, weights, state);
    for (std::size_t i = 0; i < count; ++i) {
      const double weight = expected[static_cast<std::size_t>(step - 1)][i];
      ASSERT_NEAR(weights[i], weight, 1e-5 * std::max(1.0, std::abs(weight))) << "step " << step;
    }
  }
}

/// What `reproducible` needs, and every world: a number does not depend on its neighbours.
TEST_P(Rules, DoNotDependOnHowArraysAreCutIntoBlocks) {
  constexpr std::size_t numbers = 100;
  const OptimizerOptions options = options_of(GetParam());
  State whole_state(options, numbers), parts_state(options, numbers);
  auto whole = test::random_numbers(numbers, 2), parts = whole;
  for (int step = 1; step <= 5; ++step) {
    const auto gradients = test::random_numbers(numbers, 10 + static_cast<std::uint64_t>(step));
    const UpdateStep now{.learning_rate = 0.01,
                         .gradient_scale = 0.5,
                         .number = step,
                         .weight_decay = 0.01,
                         .trust_ratio = 0.3};
    const float* sources[] = {gradients.data()};
    const bool two_phases = has_two_phases(options);
    if (two_phases) prepare_update(options, now, gradients, whole, whole_state.views());
    update_weights(options, now, sources, whole, whole_state.views());
    for (const auto& [begin, size] : {std::pair{0, 37}, {37, 1}, {38, 62}}) {
      const auto first = static_cast<std::size_t>(begin), many = static_cast<std::size_t>(size);
      std::vector<std::span<float>> state;
      for (const std::span<float> array : parts_state.views()) state.push_back(array.subspan(first, many));
      const float* part[] = {gradients.data() + first};
      const std::span<float> weights = std::span(parts).subspan(first, many);
      if (two_phases) prepare_update(options, now, {part[0], many}, weights, state);
      update_weights(options, now, part, weights, state);
    }
  }
  EXPECT_EQ(whole, parts);
  EXPECT_EQ(whole_state.arrays(), parts_state.arrays());
}

INSTANTIATE_TEST_SUITE_P(Variants, Rules, testing::ValuesIn(variants()),
                         [](const auto& variant) { return variant.param.name; });

TEST(AdamW, WithoutBiasCorrectionTheAveragesAreTakenAsTheyAre) {
  OptimizerOptions options;
  options.type = OptimizerType::adamw;
  options.correct_bias = false;
  const float gradients[] = {2.0F};
  float weights[] = {1.0F};
  State state(options, 1);
  const float* sources[] = {gradients};
  update_weights(options, {.learning_rate = 0.1}, sources, weights, state.views());
  EXPECT_NEAR(weights[0], 1.0 - 0.1 * 0.2 / std::sqrt(0.004), 1e-6);
}

/// Both phases see the gradient as a rule of one phase does: scaled, then clamped.
TEST(TwoPhases, TheNormIsOfTheGradientThatIsUsed) {
  OptimizerOptions options;
  options.type = OptimizerType::lars;
  options.max_gradient_value = 0.5;
  const std::vector<float> gradient(600, 4.0F), weights(600, 3.0F);
  State state(options, gradient.size());
  const BlockSquares squares =
      prepare_update(options, {.gradient_scale = 0.25}, gradient, weights, state.views());
  EXPECT_EQ(squares.weights, 600 * 9.0);
  EXPECT_EQ(squares.direction, 600 * 0.25) << "4 * 0.25, clamped to 0.5";
  EXPECT_EQ(state.arrays()[0], std::vector<float>(600)) << "it waits for the ratio";
}

TEST(TwoPhases, TheFirstLeavesTheWeightsAndTheSecondTheState) {
  OptimizerOptions options;
  EXPECT_FALSE(has_two_phases(options));
  options.type = OptimizerType::lamb;
  EXPECT_TRUE(has_two_phases(options));
  const std::vector<float> gradient(1000, -2.0F);
  std::vector<float> weights(1000, 3.0F);
  State state(options, weights.size());
  UpdateStep step{.learning_rate = 0.1};
  const BlockSquares squares = prepare_update(options, step, gradient, weights, state.views());
  EXPECT_EQ(weights, std::vector<float>(1000, 3.0F));
  EXPECT_NEAR(squares.direction, 1000.0, 1e-2) << "in the first step every number of it is 1 or -1";
  const auto prepared = state.arrays();
  step.trust_ratio = 0.5;
  const float* sources[] = {gradient.data()};
  update_weights(options, step, sources, weights, state.views());
  EXPECT_EQ(state.arrays(), prepared);
  for (const float weight : weights) ASSERT_NEAR(weight, 3.0 + 0.1 * 0.5, 1e-6);
}

TEST(TrustRatio, IsThatOfTheRule) {
  OptimizerOptions options;
  options.weight_decay_rate = 0.5;
  options.type = OptimizerType::lamb;
  EXPECT_EQ(trust_ratio(options, "fc_layers.0.weight", 6.0, 2.0), 3.0);
  options.type = OptimizerType::lars;
  EXPECT_NEAR(trust_ratio(options, "fc_layers.0.weight", 6.0, 2.0), 1e-3 * 6.0 / (2.0 + 3.0), 1e-10);
  options.trust_coefficient = 0.1;
  options.eps = 1.0;
  EXPECT_DOUBLE_EQ(trust_ratio(options, "fc_layers.0.weight", 6.0, 2.0), 0.1 * 6.0 / (2.0 + 3.0 + 1.0));
}

TEST(TrustRatio, IsOneWhereNormsSayNothing) {
  OptimizerOptions options;
  for (const OptimizerType type : {OptimizerType::lars, OptimizerType::lamb}) {
    options.type = type;
    EXPECT_EQ(trust_ratio(options, "fc_layers.0.weight", 0.0, 2.0), 1.0) << "weights that begin with 0";
    EXPECT_EQ(trust_ratio(options, "fc_layers.0.weight", 6.0, 0.0), 1.0);
    EXPECT_EQ(trust_ratio(options, "fc_layers.0.bias", 6.0, 2.0), 1.0);
  }
  options.exclude_from_weight_decay = std::vector<std::string>{};
  EXPECT_EQ(trust_ratio(options, "fc_layers.0.bias", 6.0, 2.0), 3.0);
  options.exclude_from_weight_decay = {"last_layer"};
  EXPECT_EQ(trust_ratio(options, "last_layer.weight", 6.0, 2.0), 1.0);
}

TEST(WeightDecay, LeavesOutBiasesOfSomeRulesAlone) {
  OptimizerOptions options;
  options.weight_decay_rate = 0.5;
  EXPECT_EQ(weight_decay_of(options, "fc_layers.0.bias"), 0.5);
  using enum OptimizerType;
  for (const OptimizerType type : {adam, adamw, lars, lamb}) {
    options.type = type;
    EXPECT_EQ(weight_decay_of(options, "fc_layers.0.bias"), 0.0);
  }
  EXPECT_EQ(weight_decay_of(options, "fc_layers.0.weight"), 0.5);
  options.exclude_from_weight_decay = {"last_layer", "fc_layers.1"};
  EXPECT_EQ(weight_decay_of(options, "fc_layers.0.bias"), 0.5);
  EXPECT_EQ(weight_decay_of(options, "last_layer.weight"), 0.0);
  options.exclude_from_weight_decay = std::vector<std::string>{};
  EXPECT_EQ(weight_decay_of(options, "fc_layers.0.bias"), 0.5);
}

}  // namespace
}  // namespace fcmnist::optim
