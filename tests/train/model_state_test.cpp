#include "train/model_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "core/error.hpp"
#include "optim/update.hpp"
#include "store/support.hpp"
#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"

namespace fcmnist::train {
namespace {

using test::world;

constexpr std::string_view two_arrays[] = {"exp_avg", "exp_avg_sq"};
constexpr std::string_view averaging_arrays[] = {"momentum_buffer", optim::weight_average};

/// A stage of the small model on each rank, with an optimizer of two arrays.
class AModel {
 public:
  explicit AModel(int stages, model::Precision precision = model::Precision::float32, int ranks_per_node = 0,
                  std::span<const std::string_view> optimizer_arrays = two_arrays)
      : config_(in(precision)),
        topology_(world(), ranks_per_node),
        grid_(topology_, stages),
        state_(grid_, mlp_, optimizer_arrays) {}

  [[nodiscard]] const comm::Grid& grid() const { return grid_; }
  [[nodiscard]] const model::Mlp& mlp() const { return mlp_; }
  ModelState* operator->() { return &state_; }

 private:
  static config::RunConfig in(model::Precision precision) {
    config::RunConfig config = test::small_config();
    config.model.precision = precision;
    return config;
  }
  config::RunConfig config_;
  comm::Topology topology_;
  comm::Grid grid_;
  model::Mlp mlp_ = test::stage_of(config_, grid_);
  ModelState state_;
};

/// A checkpoint of the whole network that rank 0 has read, whose numbers differ in each array.
class ACheckpoint {
 public:
  explicit ACheckpoint(const Layout& network, std::size_t arrays = std::size(two_arrays)) {
    if (world().rank() != 0) return;
    for (std::uint64_t seed = 1; seed <= 1 + arrays; ++seed) {
      store::fill(numbers_.emplace_back(network).view(), seed);
    }
    std::vector<store::OptimizerArray> optimizer;
    for (std::size_t k = 0; k < arrays; ++k) {
      optimizer.push_back({std::string(two_arrays[k]), numbers_[k + 1].view()});
    }
    const TemporaryDirectory directory;
    store::write_checkpoint(directory / "checkpoint_1.h5", store::example_header(), numbers_[0].view(),
                            optimizer);
    checkpoint_ = store::Checkpoint::read(directory / "checkpoint_1.h5");
  }
  /// nullptr but on rank 0.
  [[nodiscard]] const store::Checkpoint* get() const { return checkpoint_ ? &*checkpoint_ : nullptr; }
  /// Weights, then the optimizer arrays. On rank 0.
  [[nodiscard]] ArenaView<const float> array(std::size_t k) const { return numbers_[k].view(); }

 private:
  std::vector<Arena<float>> numbers_;
  std::optional<store::Checkpoint> checkpoint_;
};

bool same_slots(ArenaView<const float> a, ArenaView<const float> b) {
  return std::ranges::all_of(a.layout().slots(), [&](const Slot& slot) {
    return std::ranges::equal(a.all().subspan(slot.offset, slot.count()),
                              b.all().subspan(slot.offset, slot.count()));
  });
}

std::size_t bytes_of(const std::vector<AlignedArray<float>>& arrays) {
  std::size_t bytes = 0;
  for (const AlignedArray<float>& array : arrays) bytes += array.size() * sizeof(float);
  return bytes;
}

/// What rank 0 gathers of a model.
std::size_t foretold_bytes(const AModel& model) {
  return ModelState::gathered_bytes(model.grid().stages(), model.mlp().network_layout(),
                                    std::size(two_arrays));
}

std::vector<int> stage_counts() { return test::stage_counts(world().size(), test::small_config()); }

TEST(ModelState, WhatIsLoadedOnAnyGridIsWhatIsGathered) {
  for (const int stages : stage_counts()) {
    for (const int ranks_per_node : {0, 1, 2}) {
      for (const auto precision : {model::Precision::float32, model::Precision::bfloat16}) {
        SCOPED_TRACE(std::to_string(stages) + " stages, " + std::to_string(ranks_per_node) +
                     " ranks per node");
        AModel state(stages, precision, ranks_per_node);
        const ACheckpoint checkpoint(state.mlp().network_layout());
        state->initialize(1);
        state->load_weights_and_optimizer(checkpoint.get());
        const auto network = state->gather();
        ASSERT_EQ(network.has_value(), world().rank() == 0);
        if (!network) continue;
        EXPECT_EQ(bytes_of(network->gathered), foretold_bytes(state));
        EXPECT_TRUE(same_slots(network->weights, checkpoint.array(0)));
        ASSERT_EQ(network->optimizer.size(), 2U);
        for (std::size_t k = 0; k < 2; ++k) {
          EXPECT_EQ(network->optimizer[k].name, two_arrays[k]);
          EXPECT_TRUE(same_slots(network->optimizer[k].values, checkpoint.array(k + 1)));
        }
      }
    }
  }
}

TEST(ModelState, EveryRankOfAStageHasTheWeightsAfterALoad) {
  for (const int stages : stage_counts()) {
    AModel state(stages);
    const ACheckpoint checkpoint(state.mlp().network_layout());
    state->load_weights(checkpoint.get());
    const auto mine = std::as_bytes(state->weights().all());
    const std::string_view bits(reinterpret_cast<const char*>(mine.data()), mine.size());
    EXPECT_EQ(bits, state.grid().of_stage().world().broadcast(bits, 0));
  }
}

TEST(ModelState, WorkingWeightsAreTheMastersRounded) {
  AModel state(1, model::Precision::float16, 2);
  state->initialize(7);
  EXPECT_TRUE(state->has_separate_masters());
  const auto working = state->working_weights().as<Float16>();
  for (std::size_t i = 0; i < working.all().size(); ++i) {
    ASSERT_EQ(working.data()[i].bits, Float16(state->weights().data()[i]).bits) << i;
  }
}

TEST(ModelState, TheAverageTakesThePlaceOfTheWorkingWeightsAndGoesAgain) {
  for (const auto precision : {model::Precision::float32, model::Precision::float16}) {
    AModel state(1, precision, 2, averaging_arrays);
    ASSERT_TRUE(state->keeps_average());
    state->initialize(7);
    const Range all{0, state.mlp().layout().size()};
    const auto working = [&] {
      const auto bytes = state->working_weights();
      std::vector<float> numbers(all.size());
      for (std::size_t i = 0; i < all.size(); ++i) {
        numbers[i] = precision == model::Precision::float32 ? bytes.as<float>().data()[i]
                                                            : float(bytes.as<Float16>().data()[i]);
      }
      return numbers;
    };
    const std::vector<float> trained = working();
    const ArenaView<float> average = state->optimizer_arrays().back().values;
    if (state.grid().of_stage().is_leader()) std::ranges::fill(average.all(), 0.5F);
    world().barrier();
    state->use_average();
    EXPECT_EQ(working(), std::vector<float>(all.size(), 0.5F));
    state->use_trained();
    EXPECT_EQ(working(), trained);
    world().barrier();
  }
}

TEST(ModelState, InitialWeightsDoNotDependOnTheGridAndTheOptimizerBeginsWithZeros) {
  AModel whole(1);
  whole->initialize(3);
  for (const int stages : stage_counts()) {
    AModel state(stages);
    state->initialize(3);
    const Layout& layout = state.mlp().layout();
    for (std::size_t slot = 0; slot < layout.slots().size(); ++slot) {
      const Slot& here = layout[slot];
      const Slot& there = whole.mlp().layout()[state.mlp().first_slot() + slot];
      EXPECT_TRUE(std::ranges::equal(state->weights().all().subspan(here.offset, here.count()),
                                     whole->weights().all().subspan(there.offset, there.count())))
          << here.name;
    }
    for (const OptimizerArray& array : state->optimizer_arrays()) {
      EXPECT_TRUE(std::ranges::all_of(array.values.all(), [](float x) { return x == 0.0F; })) << array.name;
    }
  }
}

TEST(ModelState, ACheckpointThatLacksAnOptimizerArrayIsTheSameErrorOnAllRanks) {
  AModel state(1);
  const ACheckpoint checkpoint(state.mlp().network_layout(), 1);
  state->load_weights(checkpoint.get());
  try {
    state->load_weights_and_optimizer(checkpoint.get());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_TRUE(error.agreed());
    EXPECT_EQ(error.code(), ExitCode::storage);
    EXPECT_THAT(error.what(), testing::HasSubstr("optimizer array exp_avg_sq is absent"));
  }
}

}  // namespace
}  // namespace fcmnist::train
