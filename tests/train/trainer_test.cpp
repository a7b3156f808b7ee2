#include "train/trainer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "core/error.hpp"
#include "kernels/gemm.hpp"
#include "optim/update.hpp"
#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"

namespace fcmnist::train {
namespace {

using test::small_config;
using test::SmallProblem;
using test::world;

struct Trained {
  std::vector<double> losses, norms;
  std::vector<double> array_norms;                 ///< of all steps, one after the other
  std::vector<double> weight_norms, update_norms;  ///< of every third step
  std::vector<float> weights;
  std::int64_t recomputed = 0;
};

void append(std::span<const double> numbers, std::vector<double>& all) {
  all.insert(all.end(), numbers.begin(), numbers.end());
}

std::vector<float> copy_of(ArenaView<float> weights) { return {weights.all().begin(), weights.all().end()}; }

/// The norms of the layers of this stage are those of these weights, and of how they differ from those before.
void expect_norms_of(ArenaView<float> weights, const std::vector<float>& before, const model::Mlp& mlp,
                     const WeightUpdate::WeightNorms& norms) {
  const std::size_t slots = mlp.layout().slots().size();
  ASSERT_EQ(norms.weights.size(), mlp.network_layout().slots().size());
  ASSERT_EQ(norms.updates.size(), norms.weights.size());
  for (std::size_t s = 0; s < slots; ++s) {
    const Slot& slot = mlp.layout().slots()[s];
    double weight_squares = 0.0, update_squares = 0.0;
    for (std::size_t i = slot.offset; i < slot.offset + slot.count(); ++i) {
      const double weight = weights.data()[i], change = weight - before[i];
      weight_squares += weight * weight;
      update_squares += change * change;
    }
    const double weight_norm = std::sqrt(weight_squares), update_norm = std::sqrt(update_squares);
    EXPECT_NEAR(norms.weights[mlp.first_slot() + s], weight_norm, 1e-5 * weight_norm) << slot.name;
    EXPECT_NEAR(norms.updates[mlp.first_slot() + s], update_norm, 1e-5 * update_norm) << slot.name;
  }
}

/// Trains on the ranks of `group`; every rank of the world may be in a group of its own.
/// With NanPolicy::skip, one step is spoilt. `exponent`: of the first step's unit, in a reproducible
/// training.
Trained train(const comm::Communicator& group, const config::RunConfig& config, int ranks_per_node, int steps,
              int stages = 1, std::size_t samples = 150, std::optional<int> exponent = {}) {
  const SmallProblem problem(samples);
  const data::Dataset dataset = problem.view();
  const comm::Topology topology(group, ranks_per_node);
  const comm::Grid grid(topology, stages);
  const model::Mlp mlp = test::stage_of(config, grid);
  const data::EpochPlan plan(samples, step_batch(config, grid.replicas()),
                             config.train_input.drop_last_batch);
  ModelState state(grid, mlp, optim::state_arrays(config.optimizer));
  Trainer trainer(config, grid, dataset, plan, mlp, state, steps, true);
  state.initialize(config.run.seed);
  Trained trained;
  if (exponent) trainer.resume_at(0, {}, *exponent);
  for (int s = 0; s < steps; ++s) {
    if (s == 5 && config.run.nan_policy == config::NanPolicy::skip) {
      float& weight = state.weights().data()[7];
      const float good = std::exchange(weight, std::numeric_limits<float>::quiet_NaN());
      EXPECT_TRUE(trainer.step().skipped);
      weight = good;
    }
    const bool with_weight_norms = s % 3 == 0;
    const std::vector<float> before = with_weight_norms ? copy_of(state.weights()) : std::vector<float>();
    const StepResult step = trainer.step({}, with_weight_norms);
    EXPECT_EQ(step.weight_norms.weights.empty(), step.skipped || !with_weight_norms);
    if (!step.weight_norms.weights.empty()) {
      expect_norms_of(state.weights(), before, mlp, step.weight_norms);
      append(step.weight_norms.weights, trained.weight_norms);
      append(step.weight_norms.updates, trained.update_norms);
    }
    trained.recomputed += step.recomputed;
    trained.losses.push_back(step.loss);
    trained.norms.push_back(step.gradient_norm);
    append(step.array_norms, trained.array_norms);
    EXPECT_EQ(step.array_norms.size(), step.skipped ? 0 : mlp.network_layout().slots().size());
    double squares = 0.0;
    for (const double norm : step.array_norms) squares += norm * norm;
    if (!step.skipped) {
      EXPECT_NEAR(std::sqrt(squares), step.gradient_norm, 1e-9 * step.gradient_norm);
    }
    EXPECT_EQ(step.pipeline.busy_s.size(), static_cast<std::size_t>(stages > 1 ? stages : 0));
    if (stages > 1) {
      EXPECT_GT(std::ranges::min(step.pipeline.busy_s), 0.0);
    }
    EXPECT_LE(step.pipeline.bubble_fraction(), 1.0);
  }
  // Every rank has a copy of its own; all of a stage must be the same bits.
  const std::span<const float> mine = state.weights().all();
  const std::string_view bits(reinterpret_cast<const char*>(mine.data()), mine.size_bytes());
  EXPECT_TRUE(bits == grid.of_stage().world().broadcast(bits, 0)) << "rank " << group.rank();

  const auto network = state.gather();
  EXPECT_EQ(network.has_value(), group.rank() == 0);
  for (const Slot& slot : mlp.network_layout().slots()) {
    const std::size_t begin = trained.weights.size();
    trained.weights.resize(begin + slot.count());
    if (network) std::copy_n(network->weights.data() + slot.offset, slot.count(), &trained.weights[begin]);
  }
  group.broadcast(trained.weights, 0);
  return trained;
}

/// To rounding. In mixed precision a sum that differs in its last bit may be rounded to another half, which
/// is `coarser` times further away than the next float.
void expect_same_training(const Trained& a, const Trained& b,
                          model::Precision precision = model::Precision::float32) {
  const double coarser = precision == model::Precision::bfloat16  ? 50.0
                         : precision == model::Precision::float16 ? 8.0
                                                                  : 1.0;
  ASSERT_EQ(a.losses.size(), b.losses.size());
  for (std::size_t s = 0; s < a.losses.size(); ++s) {
    EXPECT_NEAR(a.losses[s], b.losses[s], coarser * 2e-4 * std::abs(b.losses[s])) << "step " << s + 1;
    EXPECT_NEAR(a.norms[s], b.norms[s], std::sqrt(coarser) * 2e-3 * std::abs(b.norms[s])) << "step " << s + 1;
  }
  for (std::size_t i = 0; i < a.weights.size(); ++i) {
    ASSERT_NEAR(a.weights[i], b.weights[i], coarser * 1e-3) << i;
  }
}

/// How the world may be laid out on nodes: all on one, or with so many ranks on each.
std::vector<int> ranks_per_nodes(std::vector<int> candidates) {
  std::erase_if(candidates, [](int ranks) { return ranks >= world().size(); });
  candidates.insert(candidates.begin(), 0);
  return candidates;
}

/// Numbers of stages, 2 or more, that the ranks of the world can have.
std::vector<int> several_stages(const config::RunConfig& config) {
  std::vector<int> counts = test::stage_counts(world().size(), config);
  counts.erase(counts.begin());
  return counts;
}

config::RunConfig in(model::Precision precision, config::RunConfig config) {
  config.model.precision = precision;
  return config;
}

/// Of what is computed in and what is sent.
model::Precision coarsest(const config::RunConfig& config) {
  const bool rounds = config.comm.wire_type == comm::WireType::bfloat16;
  return rounds ? model::Precision::bfloat16 : config.model.precision;
}

struct Variant {
  const char* name;
  config::RunConfig config;
};

/// What one rank trains, known to all. Trained by rank 0 once, however many tests compare with it.
const Trained& one_rank_trains(const Variant& variant, int steps = 12, std::optional<int> exponent = {}) {
  static std::map<std::tuple<std::string, bool, int, std::optional<int>>, Trained> all;
  const auto [entry, is_new] =
      all.try_emplace({variant.name, variant.config.run.reproducible, steps, exponent});
  Trained& trained = entry->second;
  if (!is_new) return trained;
  const comm::Communicator alone = world().split(world().rank());
  if (world().rank() == 0) trained = train(alone, variant.config, 0, steps, 1, 150, exponent);
  const auto broadcast = [](auto& numbers) {
    numbers.resize(world().broadcast(numbers.size(), 0));
    world().broadcast(std::as_writable_bytes(std::span(numbers)), 0);
  };
  broadcast(trained.losses);
  broadcast(trained.norms);
  broadcast(trained.array_norms);
  broadcast(trained.weight_norms);
  broadcast(trained.update_norms);
  broadcast(trained.weights);
  trained.recomputed = world().broadcast(trained.recomputed, 0);
  return trained;
}

// Optimizers of two phases.
config::RunConfig lars() {
  config::RunConfig config = small_config();
  config.optimizer.type = optim::OptimizerType::lars;
  config.optimizer.learning_rate = {{optim::ScheduleKind::constant, 1.0}};
  config.optimizer.momentum = 0.9;
  config.optimizer.trust_coefficient = 0.02;
  config.optimizer.weight_decay_rate = 1e-3;
  return config;
}
config::RunConfig lamb() {
  config::RunConfig config = small_config();
  config.optimizer.type = optim::OptimizerType::lamb;
  config.optimizer.learning_rate = {{optim::ScheduleKind::constant, 0.02}};
  config.optimizer.eps = 1e-3;  // so that the sign of a small gradient does not count
  config.optimizer.weight_decay_rate = 0.1;
  return config;
}

std::vector<Variant> variants() {
  std::vector<Variant> all;
  all.push_back({"plain", small_config()});
  all.push_back({"accumulated", small_config()});
  all.back().config.optimizer.grad_accum_steps = 3;
  all.push_back({"clipped_by_norm", small_config()});
  all.back().config.optimizer.max_gradient_norm = 0.3;
  all.push_back({"clipped_by_value", small_config()});
  all.back().config.optimizer.max_gradient_value = 0.01;
  all.push_back({"dropped_tail", small_config()});
  all.back().config.train_input.drop_last_batch = true;
  all.push_back({"fewer_samples_than_ranks_in_the_tail", small_config()});
  all.back().config.train_input.batch_size = 149;  // 150 samples: the last batch of an epoch has one
  all.push_back({"layers_in_several_parts", small_config()});  // on several nodes
  all.back().config.model.hidden_sizes = {300, 600};
  all.push_back({"two_streams", small_config()});
  all.back().config.model.hidden_sizes = {300, 600};
  all.back().config.comm.exchange_streams = 2;
  all.push_back({"no_bias", small_config()});
  all.back().config.model.use_bias = false;
  all.push_back({"without_zeros", small_config()});
  all.back().config.model.input_products = model::InputProducts::sparse;
  all.back().config.model.hidden_sizes = {300, 20};
  all.push_back({"adamw_clipped_by_norm", small_config()});
  all.back().config.optimizer.type = optim::OptimizerType::adamw;
  all.back().config.optimizer.eps = 1e-3;  // so that the sign of a small gradient does not count
  all.back().config.optimizer.weight_decay_rate = 0.1;
  all.back().config.optimizer.max_gradient_norm = 0.3;
  all.push_back({"lars_accumulated", lars()});
  all.back().config.optimizer.grad_accum_steps = 3;
  all.push_back({"lamb_clipped_by_norm", lamb()});
  all.back().config.optimizer.max_gradient_norm = 0.3;
  all.push_back({"skipping", small_config()});
  all.back().config.run.nan_policy = config::NanPolicy::skip;
  all.push_back({"eight_layers", small_config()});
  all.back().config.model.hidden_sizes = {16, 14, 15, 12, 13, 11, 12};
  all.push_back({"many_microbatches", small_config()});
  all.back().config.run.microbatch = 3;
  all.push_back({"bfloat16_on_the_wire", small_config()});  // each gradient is another one, if only by 2^-8
  all.back().config.model.hidden_sizes = {300, 600};
  all.back().config.optimizer.learning_rate = {{optim::ScheduleKind::constant, 0.01, 0.01, 1.0, 0}};
  all.back().config.comm.wire_type = comm::WireType::bfloat16;
  all.push_back({"bfloat16", in(model::Precision::bfloat16, small_config())});
  all.push_back({"bfloat16_in_several_parts", in(model::Precision::bfloat16, small_config())});
  all.back().config.model.hidden_sizes = {300, 600};
  all.push_back({"float16", in(model::Precision::float16, small_config())});
  all.push_back({"float16_scaled", in(model::Precision::float16, small_config())});
  all.back().config.optimizer.loss_scale.factor = 256.0;
  all.push_back({"float16_dynamic", in(model::Precision::float16, small_config())});
  all.back().config.optimizer.loss_scale.factor = optim::LossScaleOptions::dynamic;
  all.back().config.optimizer.loss_scale.steps_per_increase = 4;
  all.back().config.optimizer.loss_scale.initial = 1024.0;
  if (kernels::available(kernels::GemmBackend::onednn)) {
    all.push_back({"onednn", small_config()});
    all.back().config.kernels.gemm = kernels::GemmBackend::onednn;
  }
  return all;
}

class AnyWorld : public testing::TestWithParam<Variant> {};

// The promise of the program: a world is only a way to divide the same work.
TEST_P(AnyWorld, TrainsWhatOneRankTrains) {
  const Trained& serial = one_rank_trains(GetParam());
  EXPECT_LT(serial.losses.back(), serial.losses.front());
  for (const int ranks_per_node : ranks_per_nodes({1, 2, 3})) {
    expect_same_training(train(world(), GetParam().config, ranks_per_node, 12), serial,
                         coarsest(GetParam().config));
  }
}

TEST_P(AnyWorld, TrainsOnStagesWhatOneRankTrains) {
  const Trained& serial = one_rank_trains(GetParam());
  for (const int stages : several_stages(GetParam().config)) {
    SCOPED_TRACE(std::to_string(stages) + " stages");
    for (const int ranks_per_node : ranks_per_nodes({2})) {
      expect_same_training(train(world(), GetParam().config, ranks_per_node, 12, stages), serial,
                           coarsest(GetParam().config));
    }
  }
}

TEST_P(AnyWorld, RepeatsToTheBit) {
  for (const int stages : test::stage_counts(world().size(), GetParam().config)) {
    const Trained first = train(world(), GetParam().config, 2, 6, stages);
    const Trained second = train(world(), GetParam().config, 2, 6, stages);
    EXPECT_EQ(first.losses, second.losses);
    EXPECT_EQ(first.weights, second.weights);
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, AnyWorld, testing::ValuesIn(variants()),
                         [](const auto& variant) { return variant.param.name; });

config::RunConfig reproducible() {
  config::RunConfig config = small_config();
  config.run.reproducible = true;
  config.run.microbatch = 5;
  return config;
}

std::vector<Variant> reproducible_variants() {
  std::vector<Variant> all;
  const auto vary = [&](const char* name, auto change) {
    all.push_back({name, reproducible()});
    change(all.back().config);
  };
  vary("plain", [](auto&) {});
  vary("dropout", [](auto& c) { c.model.dropout = 0.3; });
  vary("dropout_of_inputs_and_each_layer", [](auto& c) {
    c.model.input_dropout = 0.2;
    c.model.dropout = model::Dropout({0.3, 0.5});
  });
  vary("dropout_of_inputs_bfloat16", [](auto& c) {
    c.model.input_dropout = 0.2;
    c.model.precision = model::Precision::bfloat16;
  });
  vary("accumulated", [](auto& c) { c.optimizer.grad_accum_steps = 3; });
  vary("clipped_by_norm", [](auto& c) { c.optimizer.max_gradient_norm = 0.3; });
  vary("clipped_by_value", [](auto& c) { c.optimizer.max_gradient_value = 0.01; });
  vary("skipping", [](auto& c) { c.run.nan_policy = config::NanPolicy::skip; });
  vary("momentum_and_decay", [](auto& c) {
    c.optimizer.momentum = 0.9;
    c.optimizer.use_nesterov = true;
    c.optimizer.weight_decay_rate = 1e-3;
  });
  vary("adam_accumulated", [](auto& c) {
    c.optimizer.type = optim::OptimizerType::adam;
    c.optimizer.learning_rate = {{optim::ScheduleKind::constant, 0.01}};
    c.optimizer.weight_decay_rate = 1e-3;
    c.optimizer.amsgrad = true;
    c.optimizer.grad_accum_steps = 2;
  });
  vary("lion_bfloat16", [](auto& c) {
    c.model.precision = model::Precision::bfloat16;
    c.optimizer.type = optim::OptimizerType::lion;
    c.optimizer.learning_rate = {{optim::ScheduleKind::constant, 0.003}};
  });
  vary("lars_clipped_by_value", [](auto& c) {
    c.optimizer = lars().optimizer;
    c.optimizer.use_nesterov = true;
    c.optimizer.max_gradient_value = 0.01;
    c.model.hidden_sizes = {300, 600};  // of many blocks
  });
  vary("lamb_float16_dynamic_accumulated", [](auto& c) {
    c.model.precision = model::Precision::float16;
    c.optimizer = lamb().optimizer;
    c.optimizer.grad_accum_steps = 2;
    c.optimizer.loss_scale.factor = optim::LossScaleOptions::dynamic;
    c.optimizer.loss_scale.steps_per_increase = 4;
    c.optimizer.loss_scale.initial = 1024.0;
  });
  vary("lamb_skipping", [](auto& c) {
    c.optimizer = lamb().optimizer;
    c.run.nan_policy = config::NanPolicy::skip;
  });
  vary("fewer_microbatches_than_ranks_in_the_tail", [](auto& c) { c.train_input.batch_size = 149; });
  vary("one_sample_each", [](auto& c) { c.run.microbatch = 1; });
  vary("large_layers", [](auto& c) { c.model.hidden_sizes = {300, 600}; });
  vary("two_streams", [](auto& c) {
    c.model.hidden_sizes = {300, 600};
    c.comm.exchange_streams = 2;
  });
  vary("no_bias", [](auto& c) { c.model.use_bias = false; });
  vary("without_zeros", [](auto& c) {
    c.model.input_products = model::InputProducts::sparse;
    c.model.hidden_sizes = {300, 20};
    c.optimizer.max_gradient_norm = 0.3;
  });
  vary("eight_layers", [](auto& c) { c.model.hidden_sizes = {16, 14, 15, 12, 13, 11, 12}; });
  vary("one_microbatch", [](auto& c) { c.run.microbatch = 40; });  // too few for all replicas
  vary("bfloat16", [](auto& c) { c.model.precision = model::Precision::bfloat16; });
  vary("float16_dynamic", [](auto& c) {
    c.model.precision = model::Precision::float16;
    c.optimizer.loss_scale.factor = optim::LossScaleOptions::dynamic;
    c.optimizer.loss_scale.steps_per_increase = 4;
    c.optimizer.loss_scale.initial = 1024.0;
  });
  if (kernels::available(kernels::GemmBackend::onednn)) {
    vary("onednn", [](auto& c) { c.kernels.gemm = kernels::GemmBackend::onednn; });
  }
  return all;
}

class Reproducible : public testing::TestWithParam<Variant> {};

TEST_P(Reproducible, TrainsTheSameBitsInAnyWorld) {
  const Trained& serial = one_rank_trains(GetParam());
  EXPECT_LT(serial.losses.back(), serial.losses.front());
  for (const int ranks_per_node : ranks_per_nodes({1, 2, 3})) {
    const Trained shared = train(world(), GetParam().config, ranks_per_node, 12);
    EXPECT_EQ(shared.losses, serial.losses);
    EXPECT_EQ(shared.norms, serial.norms);
    EXPECT_EQ(shared.array_norms, serial.array_norms);
    EXPECT_EQ(shared.weight_norms, serial.weight_norms);
    EXPECT_EQ(shared.update_norms, serial.update_norms);
    EXPECT_TRUE(shared.weights == serial.weights) << ranks_per_node << " ranks per node";
  }
}

TEST_P(Reproducible, TrainsTheSameBitsOnAnyGrid) {
  const Trained& serial = one_rank_trains(GetParam());
  for (const int stages : several_stages(GetParam().config)) {
    for (const int ranks_per_node : ranks_per_nodes({2})) {
      const Trained staged = train(world(), GetParam().config, ranks_per_node, 12, stages);
      EXPECT_EQ(staged.losses, serial.losses) << stages << " stages";
      EXPECT_EQ(staged.norms, serial.norms) << stages << " stages";
      EXPECT_EQ(staged.array_norms, serial.array_norms) << stages << " stages";
      EXPECT_EQ(staged.weight_norms, serial.weight_norms) << stages << " stages";
      EXPECT_EQ(staged.update_norms, serial.update_norms) << stages << " stages";
      EXPECT_TRUE(staged.weights == serial.weights)
          << stages << " stages, " << ranks_per_node << " ranks per node";
    }
  }
}

/// Where the search for the unit begins. The variants take these in turn, since none of them changes how it searches.
int first_exponent(const Variant& variant) {
  constexpr std::array exponents = {-120, 10, 60};
  const auto all = reproducible_variants();
  const auto place = std::ranges::find(all, variant.name, &Variant::name) - all.begin();
  return exponents[static_cast<std::size_t>(place) % exponents.size()];
}

/// The first gradient is computed again, several times, until its unit is found.
TEST_P(Reproducible, AGradientThatDoesNotFitIsComputedAgainInAnyWorld) {
  const int exponent = first_exponent(GetParam());
  const Trained& serial = one_rank_trains(GetParam(), 2, exponent);
  EXPECT_GT(serial.recomputed, 0) << exponent;
  for (const int stages : test::stage_counts(world().size(), GetParam().config)) {
    SCOPED_TRACE(std::to_string(stages) + " stages, exponent " + std::to_string(exponent));
    for (const int ranks_per_node : ranks_per_nodes({2})) {
      const Trained shared = train(world(), GetParam().config, ranks_per_node, 2, stages, 150, exponent);
      EXPECT_EQ(shared.recomputed, serial.recomputed);
      EXPECT_EQ(shared.norms, serial.norms);
      EXPECT_TRUE(shared.weights == serial.weights) << ranks_per_node << " ranks per node";
    }
  }
}

TEST_P(Reproducible, TrainsWhatTheFastModeTrains) {
  config::RunConfig fast = GetParam().config;
  fast.run.reproducible = false;
  expect_same_training(train(world(), GetParam().config, 0, 12), train(world(), fast, 0, 12),
                       fast.model.precision);
}

INSTANTIATE_TEST_SUITE_P(Variants, Reproducible, testing::ValuesIn(reproducible_variants()),
                         [](const auto& variant) { return variant.param.name; });

TEST(Trainer, AccumulationIsTheSameAsALargerBatch) {
  config::RunConfig parts = small_config(), whole = small_config();
  parts.train_input.batch_size = 20;
  parts.optimizer.grad_accum_steps = 3;
  whole.train_input.batch_size = 60;
  expect_same_training(train(world(), parts, 0, 10), train(world(), whole, 0, 10));
}

TEST(Trainer, BatchPerReplicaGrowsWithTheWorld) {
  config::RunConfig per_replica = small_config(), whole = small_config();
  per_replica.train_input.batch_size_per_replica = 9;
  whole.train_input.batch_size = 9 * world().size();
  EXPECT_EQ(step_batch(per_replica, world().size()), step_batch(whole, world().size()));
  expect_same_training(train(world(), per_replica, 0, 10), train(world(), whole, 0, 10));
}

/// One trainer on all ranks, whose weights, those of this rank's stage, may be spoilt between steps.
class ATrainer {
 public:
  explicit ATrainer(config::RunConfig config, int stages = 1)
      : config_(std::move(config)),
        topology_(world()),
        grid_(topology_, stages),
        mlp_(test::stage_of(config_, grid_)),
        plan_(dataset_.samples(), step_batch(config_, grid_.replicas()), false),
        state_(grid_, mlp_, optim::state_arrays(config_.optimizer)),
        trainer_(config_, grid_, dataset_, plan_, mlp_, state_, 200, true) {
    state_.initialize(config_.run.seed);
  }

  Trainer* operator->() { return &trainer_; }
  [[nodiscard]] std::vector<float> weights() const { return copy(state_.weights()); }
  [[nodiscard]] std::vector<float> momentum() const { return copy(state_.optimizer_arrays()[0].values); }
  /// On every rank alike.
  void set_weights(const std::vector<float>& weights) {
    std::ranges::copy(weights, state_.weights().data());
    world().barrier();
  }
  void set_momentum(const std::vector<float>& momentum) {
    if (grid_.of_stage().is_leader()) std::ranges::copy(momentum, state_.optimizer_arrays()[0].values.data());
    world().barrier();
  }
  /// Of the first stage.
  void spoil_one_weight(float value) {
    if (topology_.is_leader()) state_.weights().data()[0] = value;
    world().barrier();
  }
  /// Multiplies the weights of layer l by 10^exponents[l]; biases become 0.
  void scale_layers(const std::vector<float>& exponents) {
    for (std::size_t slot = 0; slot < mlp_.layout().slots().size(); ++slot) {
      const Slot& at = mlp_.layout().slots()[slot];
      const float factor = at.rows == 1 ? 0.0F : std::pow(10.0F, exponents[(mlp_.first_slot() + slot) / 2]);
      for (float& w : state_.weights().all().subspan(at.offset, at.count())) w *= factor;
    }
    world().barrier();
  }

 private:
  static std::vector<float> copy(ArenaView<float> view) {
    std::vector<float> numbers(view.all().begin(), view.all().end());
    world().barrier();  // nobody goes on to change what another still copies
    return numbers;
  }

  config::RunConfig config_;
  SmallProblem problem_{100};
  data::Dataset dataset_ = problem_.view();
  comm::Topology topology_;
  comm::Grid grid_;
  model::Mlp mlp_;
  data::EpochPlan plan_;
  ModelState state_;
  Trainer trainer_;
};

config::RunConfig skipping() {
  config::RunConfig config = small_config();
  config.run.nan_policy = config::NanPolicy::skip;
  return config;
}

/// A trainer for each number of stages that the world can have.
class OnStages : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const auto counts = test::stage_counts(world().size(), small_config());
    if (std::ranges::find(counts, GetParam()) == counts.end()) GTEST_SKIP() << "the ranks do not divide";
  }
};
INSTANTIATE_TEST_SUITE_P(Stages, OnStages, testing::Values(1, 2, 3));

TEST_P(OnStages, WhatOneRankAsksForAllRanksKnowAfterTheSameStep) {
  ATrainer trainer(small_config(), GetParam());
  for (int asking = 0; asking < world().size(); ++asking) {
    const bool me = world().rank() == asking;
    const Requests stop = trainer->step({.stop = me}).requests;
    EXPECT_TRUE(stop.stop && !stop.save && !stop.give_up);
    const Requests save = trainer->step({.save = me}).requests;
    EXPECT_TRUE(!save.stop && save.save && !save.give_up);
    const Requests give_up = trainer->step({.give_up = me}).requests;
    EXPECT_TRUE(!give_up.stop && !give_up.save && give_up.give_up);
    const Requests none = trainer->step().requests;
    EXPECT_TRUE(!none.stop && !none.save && !none.give_up);
  }
}

TEST_P(OnStages, GoesOnWithTheSameBitsAfterAnyStep) {
  constexpr int steps = 9;
  for (config::RunConfig config : {small_config(), skipping(), reproducible(), lars()}) {
    config.optimizer.grad_accum_steps = 2;
    config.optimizer.max_gradient_norm = 0.3;
    ATrainer whole(config, GetParam());
    for (int s = 0; s < steps; ++s) whole->step();
    const std::vector<float> weights = whole.weights();
    ATrainer first(config, GetParam());
    for (int stop = 1; stop < steps; ++stop) {
      first->step();
      ATrainer second(config, GetParam());
      second.set_weights(first.weights());
      second.set_momentum(first.momentum());
      second->resume_at(stop, {}, first->gradient_exponent());
      for (int s = stop; s < steps; ++s) second->step();
      EXPECT_EQ(second.weights(), weights) << "after step " << stop;
    }
  }
}

TEST(Trainer, SkippingTrainsTheSameBitsWhileAllIsFinite) {
  ATrainer stops(small_config()), skips(skipping());
  for (int s = 0; s < 5; ++s) {
    EXPECT_NEAR(stops->step().gradient_norm, skips->step().gradient_norm, 1e-5);  // added in another order
    EXPECT_EQ(stops.weights(), skips.weights());
  }
}

/// Makes one step non-finite by `spoil`; it must change nothing, and training must go on.
void expect_skipped(const config::RunConfig& config, int stages, void (*spoil)(ATrainer&),
                    bool loss_is_finite) {
  ATrainer trainer(config, stages);
  trainer->step();
  const std::vector<float> good = trainer.weights(), momentum = trainer.momentum();
  spoil(trainer);
  const std::vector<float> spoilt = trainer.weights();
  for (int repeat = 1; repeat <= 3; ++repeat) {
    const StepResult step = trainer->step();
    EXPECT_TRUE(step.skipped);
    EXPECT_EQ(std::isfinite(step.loss), loss_is_finite);
    EXPECT_FALSE(std::isfinite(step.gradient_norm));
    EXPECT_EQ(trainer->judge_state().skipped_in_a_row, repeat);
  }
  const auto bits = [](const std::vector<float>& v) { return std::as_bytes(std::span(v)); };
  const std::vector<float> after = trainer.weights();
  EXPECT_TRUE(std::ranges::equal(bits(after), bits(spoilt)));  // NaN is not equal to itself
  EXPECT_EQ(trainer.momentum(), momentum);
  trainer.set_weights(good);
  const StepResult next = trainer->step();
  EXPECT_FALSE(next.skipped);
  EXPECT_EQ(next.step, 5);
  EXPECT_EQ(trainer->judge_state().skipped_in_a_row, 0);
  EXPECT_NE(trainer.weights(), good);
}

TEST_P(OnStages, ANonFiniteLossIsSkippedWithThatPolicy) {
  expect_skipped(
      skipping(), GetParam(),
      [](ATrainer& t) { t.spoil_one_weight(std::numeric_limits<float>::quiet_NaN()); }, false);
}

TEST_P(OnStages, ANonFiniteGradientIsSkippedWithThatPolicy) {
  config::RunConfig two_phases = skipping();
  two_phases.optimizer = lamb().optimizer;
  for (const config::RunConfig& config : {skipping(), two_phases}) {
    // Forward tiny x large x huge is finite; backward huge x large is not.
    expect_skipped(
        config, GetParam(),
        [](ATrainer& t) {
          t.scale_layers({-30.0F, 20.0F, 30.0F});
        },
        true);
  }
}

TEST_P(OnStages, ANonFiniteGradientStopsTheRunOtherwise) {
  ATrainer trainer(small_config(), GetParam());
  trainer.scale_layers({-30.0F, 20.0F, 30.0F});
  try {
    trainer->step();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::diverged);
    EXPECT_TRUE(std::string(error.what()).find("the gradient norm is") != std::string::npos) << error.what();
  }
  world().barrier();
}

struct Scaled {
  std::vector<double> losses, norms, scales;
  std::vector<bool> skipped;
  std::vector<float> weights;

  bool operator==(const Scaled&) const = default;
};

/// 12 steps, of which the first overflow.
Scaled train_scaled(const comm::Communicator& group, const config::RunConfig& config, int ranks_per_node,
                    int stages = 1) {
  const SmallProblem problem(150);
  const data::Dataset dataset = problem.view();
  const comm::Topology topology(group, ranks_per_node);
  const comm::Grid grid(topology, stages);
  const model::Mlp mlp = test::stage_of(config, grid);
  const data::EpochPlan plan(dataset.samples(), step_batch(config, grid.replicas()), false);
  ModelState state(grid, mlp, optim::state_arrays(config.optimizer));
  Trainer trainer(config, grid, dataset, plan, mlp, state, 12, true);
  state.initialize(config.run.seed);
  Scaled result;
  for (int s = 0; s < 12; ++s) {
    const StepResult step = trainer.step();
    result.losses.push_back(step.loss);
    // A NaN is not equal to itself, and how a norm is not finite is nobody's concern.
    result.norms.push_back(std::isfinite(step.gradient_norm) ? step.gradient_norm : -1.0);
    result.scales.push_back(step.loss_scale);
    result.skipped.push_back(step.skipped);
  }
  const auto network = state.gather();
  for (const Slot& slot : mlp.network_layout().slots()) {
    const std::size_t begin = result.weights.size();
    result.weights.resize(begin + slot.count());
    if (network) std::copy_n(network->weights.data() + slot.offset, slot.count(), &result.weights[begin]);
  }
  group.broadcast(result.weights, 0);
  return result;
}

/// The gradient is infinite in some microbatches, those of one rank perhaps, and sums are in fixed point.
void expect_the_same_overflows_in_any_world(config::RunConfig config) {
  config.optimizer.loss_scale.factor = optim::LossScaleOptions::dynamic;
  config.optimizer.loss_scale.initial = config.optimizer.loss_scale.max = 0x1p24;
  config.optimizer.loss_scale.steps_per_increase = 1000;
  const comm::Communicator alone = world().split(world().rank());
  const Scaled serial = train_scaled(alone, config, 0);
  EXPECT_TRUE(serial.skipped[0] && serial.skipped[1]);
  EXPECT_FALSE(serial.skipped.back());
  for (std::size_t s = 0; s + 1 < serial.scales.size(); ++s) {
    EXPECT_EQ(serial.scales[s + 1], serial.skipped[s] ? serial.scales[s] / 2.0 : serial.scales[s]);
    EXPECT_EQ(serial.norms[s] < 0.0, serial.skipped[s]);
  }
  for (const int stages : test::stage_counts(world().size(), config)) {
    for (const int ranks_per_node : ranks_per_nodes({1, 2})) {
      const Scaled shared = train_scaled(world(), config, ranks_per_node, stages);
      EXPECT_EQ(shared.scales, serial.scales);
      EXPECT_EQ(shared.losses, serial.losses);
      EXPECT_TRUE(shared == serial) << stages << " stages, " << ranks_per_node << " ranks per node";
    }
  }
}

TEST(ReproducibleFloat16, OverflowsOfTheFirstStepsAreTheSameInAnyWorld) {
  expect_the_same_overflows_in_any_world(in(model::Precision::float16, reproducible()));
}

TEST(ReproducibleFloat16, OverflowsOfAnOptimizerOfTwoPhasesAreTheSameInAnyWorld) {
  config::RunConfig config = in(model::Precision::float16, reproducible());
  config.optimizer = lamb().optimizer;
  expect_the_same_overflows_in_any_world(config);
}

config::RunConfig scaled(double initial) {
  config::RunConfig config = in(model::Precision::float16, small_config());
  config.optimizer.loss_scale.factor = optim::LossScaleOptions::dynamic;
  config.optimizer.loss_scale.initial = config.optimizer.loss_scale.max = initial;
  config.optimizer.loss_scale.steps_per_increase = 1000;
  return config;
}

TEST_P(OnStages, AnOverflowHalvesTheLossScaleAndChangesNothingElse) {
  ATrainer trainer(scaled(0x1p28), GetParam());
  const std::vector<float> before = trainer.weights();
  double scale = 0x1p28;
  StepResult step = trainer->step();
  EXPECT_TRUE(step.skipped) << "2^28 times a gradient is more than a float16 can hold";
  for (; step.skipped; step = trainer->step()) {
    EXPECT_EQ(step.loss_scale, scale);
    EXPECT_EQ(trainer.weights(), before);
    EXPECT_TRUE(std::isfinite(step.loss));
    scale /= 2.0;
    ASSERT_GT(scale, 1.0);
  }
  EXPECT_EQ(step.loss_scale, scale);
  EXPECT_EQ(trainer->judge_state().skipped_in_a_row, 0);
  EXPECT_NE(trainer.weights(), before);
  EXPECT_TRUE(std::isfinite(step.gradient_norm));
  EXPECT_EQ(trainer->judge_state().loss_scale.good_steps, 1);
}

TEST_P(OnStages, ThePowerOfTwoOfTheLossScaleDoesNotChangeTheGradient) {
  config::RunConfig config = in(model::Precision::bfloat16, small_config());
  ATrainer plain(config, GetParam());
  config.optimizer.loss_scale.factor = 1024.0;
  ATrainer scaled_by_1024(config, GetParam());
  for (int s = 0; s < 5; ++s) {
    EXPECT_EQ(plain->step().gradient_norm, scaled_by_1024->step().gradient_norm);
    EXPECT_EQ(plain.weights(), scaled_by_1024.weights());
  }
}

TEST_P(OnStages, AnOverflowOfAStaticLossScaleStopsTheRunAndIsNamed) {
  config::RunConfig config = scaled(1.0);
  config.optimizer.loss_scale.factor = 0x1p28;
  ATrainer trainer(config, GetParam());
  try {
    trainer->step();
    ADD_FAILURE() << "a step that overflows";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::diverged);
    EXPECT_TRUE(std::string(error.what()).find("the loss scale is 2.68435e+08") != std::string::npos)
        << error.what();
  }
  world().barrier();
}

TEST(Trainer, OnlyBetweenNodesGradientsAreSentInTheWireType) {
  config::RunConfig config = small_config();
  const auto weights = [&](comm::WireType wire, int ranks_per_node) {
    config.comm.wire_type = wire;
    return train(world(), config, ranks_per_node, 2).weights;
  };
  EXPECT_EQ(weights(comm::WireType::bfloat16, 0), weights(comm::WireType::float32, 0));
  const bool has_nodes = world().size() > 1;
  EXPECT_EQ(weights(comm::WireType::bfloat16, 1) != weights(comm::WireType::float32, 1), has_nodes);
}

TEST(Trainer, SkippingForEverIsAnError) {
  ATrainer trainer(skipping());
  trainer->resume_at(1, {Judge::most_skipped_in_a_row - 2, {}}, 0);
  trainer.spoil_one_weight(std::numeric_limits<float>::infinity());
  EXPECT_TRUE(trainer->step().skipped);
  EXPECT_THROW(trainer->step(), Error);
  world().barrier();
}

TEST_P(OnStages, ANonFiniteLossStopsAllRanksBeforeTheWeightsChange) {
  ATrainer trainer(small_config(), GetParam());
  trainer->step();
  trainer.spoil_one_weight(std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> before = trainer.weights();
  try {
    trainer->step();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::diverged);
    EXPECT_TRUE(error.agreed());
  }
  EXPECT_EQ(trainer->steps_done(), 1);
  const std::vector<float> after = trainer.weights();
  EXPECT_TRUE(std::equal(before.begin() + 1, before.end(), after.begin() + 1));
}

}  // namespace
}  // namespace fcmnist::train
