#include "train/replica_check.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>

#include "comm/placement.hpp"
#include "core/error.hpp"
#include "core/half.hpp"
#include "optim/update.hpp"
#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"

namespace fcmnist::train {
namespace {

using test::world;
using testing::HasSubstr;
using testing::StartsWith;

// --- which copy is the odd one ---

/// Six ranks on three nodes: 0, 1 on n0, 2, 3 on n1, 4, 5 on n2.
const std::vector<comm::RankPlacement> placement = {{"n0", 0, {}}, {"n0", 0, {}}, {"n1", 1, {}},
                                                    {"n1", 1, {}}, {"n2", 2, {}}, {"n2", 2, {}}};

/// What is said of ranks 0, 1, ... whose copies have these letters as digests.
std::string said_of(std::string_view letters) {
  std::vector<CopyDigest> copies;
  for (const char letter : letters) copies.push_back({static_cast<int>(copies.size()), {letter}});
  return drift_text(copies, "weights", "ranks", placement).value_or("nothing");
}

TEST(DriftText, IsEmptyForEqualCopies) {
  EXPECT_EQ(said_of("aaaaaa"), "nothing");
  EXPECT_EQ(said_of("a"), "nothing");
}

TEST(DriftText, NamesTheMinority) {
  EXPECT_EQ(said_of("aaabaa"), "rank 3 (node n1): its weights differ from those of the other 5 ranks");
  EXPECT_EQ(said_of("baaaaa"), "rank 0 (node n0): its weights differ from those of the other 5 ranks");
  EXPECT_EQ(said_of("aaaabb"), "ranks 4, 5 (node n2): their weights differ from those of the other 4 ranks");
  EXPECT_EQ(said_of("cabaaa"),
            "rank 0 (node n0), rank 2 (node n1): their weights differ from those of the other 4 ranks");
}

TEST(DriftText, NamesAllWhereNoMajorityAgrees) {
  EXPECT_EQ(
      said_of("ab"),
      "weights differ, and no majority says which are right: rank 0 (node n0) against rank 1 (node n0)");
  EXPECT_EQ(said_of("aabb"),
            "weights differ, and no majority says which are right: ranks 0, 1 (node n0) against ranks 2, 3 "
            "(node n1)");
  EXPECT_EQ(said_of("cbaa"),
            "weights differ, and no majority says which are right: ranks 2, 3 (node n1) against rank 0 (node "
            "n0) against rank 1 (node n0)");
}

TEST(DriftText, ANodeHasOneVoteSinceItsOwnersErrorIsInAllItsCopies) {
  EXPECT_EQ(said_of("aab"),
            "weights differ, and no majority says which are right: ranks 0, 1 (node n0) against rank 2 (node "
            "n1)");
  EXPECT_EQ(said_of("aabaab"),
            "rank 2 (node n1), rank 5 (node n2): their weights differ from those of the other 4 ranks");
}

TEST(BitsSha256, SeesEveryBitOfTheSlotsAndNoneOfTheGaps) {
  Layout layout;
  layout.add("fc_layers.0.weight", 3, 5);
  layout.add("fc_layers.0.bias", 1, 3);
  const Arena<float> numbers(layout);
  const std::string zero = bits_sha256(numbers.view());
  for (const Slot& slot : layout.slots()) {
    for (const std::size_t i : {std::size_t{0}, slot.count() - 1}) {
      for (const float other : {-0.0F, std::bit_cast<float>(1U)}) {
        numbers.view().all()[slot.offset + i] = other;
        EXPECT_NE(bits_sha256(numbers.view()), zero) << slot.name << " " << i << " " << other;
        numbers.view().all()[slot.offset + i] = 0.0F;
      }
    }
  }
  numbers.view().all()[15] = 1.0F;  // between the slots
  EXPECT_EQ(bits_sha256(numbers.view()), zero);
}

// --- over all ranks ---

class ReplicaCheck : public testing::TestWithParam<int> {
 protected:
  explicit ReplicaCheck(model::Precision precision = model::Precision::float32)
      : config_(small_config_in(precision)) {
    state_.initialize(1);
  }
  static config::RunConfig small_config_in(model::Precision precision) {
    config::RunConfig config = test::small_config();
    config.model.precision = precision;
    return config;
  }

  /// What check_replicas says on this rank; "" if nothing. It is the same on all.
  [[nodiscard]] std::string found() const {
    std::string text;
    try {
      check_replicas(grid_, state_, 1200, placement_);
    } catch (const Error& error) {
      EXPECT_TRUE(error.agreed());
      EXPECT_EQ(error.code(), ExitCode::communication);
      text = error.what();
    }
    EXPECT_EQ(world().broadcast(text, 0), text);
    return text;
  }

  static void flip(float& number, std::uint32_t bits) {
    number = std::bit_cast<float>(std::bit_cast<std::uint32_t>(number) ^ bits);
  }

  [[nodiscard]] bool is_me(int rank) const { return world().rank() == rank; }

  [[nodiscard]] bool is_alone_against_one_node(int rank) const {
    const auto node = [&](int r) { return placement_[static_cast<std::size_t>(r)].node; };
    int others = 0;
    for (int r = 0; r < world().size(); ++r) others += r != rank && node(r) == node(rank) ? 1 : 0;
    return others == 0 && topology_.node_count() == 2;
  }

  const config::RunConfig config_;
  const comm::Topology topology_{world(), GetParam()};
  const comm::Grid grid_{topology_};
  const model::Mlp mlp_{model::widths_of(config_.model, test::SmallProblem::features), config_.model,
                        config_.kernels.gemm};
  ModelState state_{grid_, mlp_, optim::state_arrays(config_.optimizer)};
  const std::vector<comm::RankPlacement> placement_ = comm::gather_placement(topology_);
};

TEST_P(ReplicaCheck, EqualReplicasPass) { EXPECT_EQ(found(), ""); }

TEST_P(ReplicaCheck, AFlippedBitIsFoundOnWhicheverRankItIs) {
  const std::span<float> weights = state_.weights().all();
  const std::size_t last = mlp_.layout().slots().back().offset + mlp_.outputs() - 1;
  for (int rank = 0; rank < world().size(); ++rank) {
    const std::string& host = placement_[static_cast<std::size_t>(rank)].host;
    for (const std::size_t i : {std::size_t{0}, weights.size() / 3, last}) {
      for (const std::uint32_t bit : {1U, 1U << 31}) {
        if (is_me(rank)) flip(weights[i], bit);
        const std::string text = found();
        EXPECT_THAT(text, StartsWith("after step 1200: "));
        if (world().size() == 2 || is_alone_against_one_node(rank)) {
          EXPECT_THAT(text, HasSubstr("no majority"));
          EXPECT_THAT(text, HasSubstr(fmt::format("rank {} (node ", rank)));
        } else {
          EXPECT_THAT(text, HasSubstr(fmt::format("rank {} (node {}): its weights differ from those of the "
                                                  "other {} ranks",
                                                  rank, host, world().size() - 1)));
        }
        EXPECT_THAT(text, HasSubstr("HINT"));
        if (is_me(rank)) flip(weights[i], bit);
        EXPECT_EQ(found(), "");
      }
    }
  }
}

TEST_P(ReplicaCheck, MinusZeroIsNotZero) {
  const Slot& bias = mlp_.layout()[1];  // zero at first
  ASSERT_EQ(bias.rows, 1U);
  if (is_me(world().size() - 1)) state_.weights().all()[bias.offset] = -0.0F;
  EXPECT_NE(found(), "");
}

TEST_P(ReplicaCheck, OptimizerStateIsComparedBetweenNodes) {
  for (int rank = 0; rank < world().size(); ++rank) {
    const bool flips = is_me(rank) && topology_.is_leader();
    const bool somebody_flips = world().max(flips ? 1.0 : 0.0) > 0.0;
    if (flips) flip(state_.optimizer_arrays()[0].values.all()[40], 1U);
    const std::string text = found();
    if (topology_.node_count() == 1 || !somebody_flips) {
      EXPECT_EQ(text, "");
    } else if (topology_.node_count() == 2) {
      EXPECT_THAT(text, StartsWith("after step 1200: optimizer values differ, and no majority"));
      EXPECT_THAT(text, HasSubstr(fmt::format("rank {} (node ", rank)));
    } else {
      EXPECT_THAT(text, StartsWith(fmt::format("after step 1200: rank {} (node ", rank)));
      EXPECT_THAT(text, HasSubstr(fmt::format("its optimizer values differ from those of the other {} nodes",
                                              topology_.node_count() - 1)));
    }
    if (flips) flip(state_.optimizer_arrays()[0].values.all()[40], 1U);
    world().barrier();
  }
}

// --- in mixed precision: of working weights every rank has its own, of master weights every node ---

class MixedReplicaCheck : public ReplicaCheck {
 protected:
  MixedReplicaCheck() : ReplicaCheck(model::Precision::bfloat16) {}

  static void flip(BFloat16& number, std::uint16_t bits) {
    number = std::bit_cast<BFloat16>(static_cast<std::uint16_t>(std::bit_cast<std::uint16_t>(number) ^ bits));
  }
};

TEST_P(MixedReplicaCheck, AFlippedBitOfAWorkingWeightIsFoundOnWhicheverRankItIs) {
  EXPECT_EQ(found(), "");
  const std::span<BFloat16> weights = state_.working_weights().as<BFloat16>().all();
  for (int rank = 0; rank < world().size(); ++rank) {
    const std::string& host = placement_[static_cast<std::size_t>(rank)].host;
    for (const std::uint16_t bit : {std::uint16_t{1}, std::uint16_t{1U << 15}}) {
      if (is_me(rank)) flip(weights[weights.size() / 3], bit);
      const std::string text = found();
      if (world().size() == 2 || is_alone_against_one_node(rank)) {
        EXPECT_THAT(text, HasSubstr("after step 1200: weights differ, and no majority"));
        EXPECT_THAT(text, HasSubstr(fmt::format("rank {} (node ", rank)));
      } else {
        EXPECT_THAT(text, HasSubstr(fmt::format("rank {} (node {}): its weights differ from those of the "
                                                "other {} ranks",
                                                rank, host, world().size() - 1)));
      }
      if (is_me(rank)) flip(weights[weights.size() / 3], bit);
      EXPECT_EQ(found(), "");
    }
  }
}

/// The last bit of a float32: the working weights that are rounded from it are the same.
TEST_P(MixedReplicaCheck, AFlippedBitOfAMasterWeightIsFoundBetweenNodes) {
  for (int rank = 0; rank < world().size(); ++rank) {
    const bool flips = is_me(rank) && topology_.is_leader();
    const bool somebody_flips = world().max(flips ? 1.0 : 0.0) > 0.0;
    if (flips) ReplicaCheck::flip(state_.weights().all()[40], 1U);
    const std::string text = found();
    if (topology_.node_count() == 1 || !somebody_flips) {
      EXPECT_EQ(text, "");
    } else if (topology_.node_count() == 2) {
      EXPECT_THAT(text,
                  StartsWith("after step 1200: master weights or optimizer values differ, and no majority"));
      EXPECT_THAT(text, HasSubstr(fmt::format("rank {} (node ", rank)));
    } else {
      EXPECT_THAT(text, StartsWith(fmt::format("after step 1200: rank {} (node ", rank)));
      EXPECT_THAT(text, HasSubstr(fmt::format(
                            "its master weights or optimizer values differ from those of the other {} nodes",
                            topology_.node_count() - 1)));
    }
    if (flips) ReplicaCheck::flip(state_.weights().all()[40], 1U);
    world().barrier();
  }
  EXPECT_EQ(found(), "");
}

INSTANTIATE_TEST_SUITE_P(RanksPerNode, MixedReplicaCheck, testing::Values(0, 1, 2));

TEST(ReplicaCheckOfStages, ComparesTheRanksOfEachStageAndNotTheStages) {
  const config::RunConfig config = test::small_config();
  const comm::Topology topology(world());
  const auto places = comm::gather_placement(topology);
  for (const int stages : test::stage_counts(world().size(), config)) {
    const comm::Grid grid(topology, stages);
    const model::Mlp mlp = test::stage_of(config, grid);
    ModelState state(grid, mlp, optim::state_arrays(config.optimizer));
    state.initialize(1);
    EXPECT_NO_THROW(check_replicas(grid, state, 0, places)) << stages << " stages";
    state.weights().all()[3] += world().rank() == world().size() - 1 ? 1.0F : 0.0F;
    if (grid.replicas() == 1) {
      EXPECT_NO_THROW(check_replicas(grid, state, 0, places)) << "there is nothing to compare with";
    } else {
      std::string text;
      try {
        check_replicas(grid, state, 0, places);
      } catch (const Error& error) {
        text = error.what();
      }
      EXPECT_THAT(text, HasSubstr(fmt::format("rank {} (node", world().size() - 1))) << stages << " stages";
    }
    world().barrier();
  }
}

INSTANTIATE_TEST_SUITE_P(RanksPerNode, ReplicaCheck, testing::Values(0, 1, 2));

}  // namespace
}  // namespace fcmnist::train
