#include "train/weight_update.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"
#include "train/trainer.hpp"

namespace fcmnist::train {
namespace {

using test::world;

/// A model, its update, and a gradient that all ranks have written.
class WrittenGradient {
 public:
  explicit WrittenGradient(int ranks_per_node, optim::OptimizerType type = optim::OptimizerType::sgd)
      : config_(small_config_of(type)), topology_(world(), ranks_per_node) {
    const double small = 0.0;
    sum_->begin({&small, 1});
    for (std::size_t p = 0; p < parts_.size(); ++p) sum_->part_written(true, true);
    sum_->wait_for_node();
    sum_->finish();
  }

  [[nodiscard]] comm::BlockOwners& owners() { return sum_->owners(); }
  [[nodiscard]] const comm::Topology& topology() const { return topology_; }

  /// As in a step.
  void update(bool norm_first) {
    if (norm_first) update_.sum_blocks();
    update_.apply({0.1, 1.0}, norm_first, false);
  }
  /// Arrays that the update reads.
  [[nodiscard]] int arrays_read(bool norm_first) {
    int most = 0;
    for (const std::size_t b : owners().owned()) {
      const Block& block = owners().blocks()[b];
      const auto arrays = norm_first ? sum_->collected(block) : sum_->sources(block);
      most = std::max(most, static_cast<int>(arrays.size()));
    }
    return most;
  }

 private:
  static config::RunConfig small_config_of(optim::OptimizerType type) {
    config::RunConfig config = test::small_config();
    config.optimizer.type = type;
    return config;
  }

  config::RunConfig config_;
  comm::Topology topology_;
  comm::Grid grid_{topology_};
  model::Mlp mlp_ = test::stage_of(config_, grid_);
  std::vector<Range> parts_ = ranges_of(gradient_parts(mlp_, topology_.node_count(), false));
  std::unique_ptr<GradientSum> sum_ =
      make_gradient_sum(false, 1, grid_, mlp_.layout(), mlp_.layout().parameter_count(), parts_, 1, {}, true);
  ModelState state_{grid_, mlp_, optim::state_arrays(config_.optimizer)};
  StepObserver observer_;
  WeightUpdate update_{config_.optimizer, grid_, mlp_, state_, *sum_, observer_};
};

TEST(WeightUpdate, RanksOfANodeWaitAsOftenAsIsForetold) {
  for (const bool norm_first : {false, true}) {
    WrittenGradient gradient(0);
    gradient.update(norm_first);
    EXPECT_EQ(gradient.owners().waits(), static_cast<std::uint64_t>(waits_of_step(norm_first, false)));
  }
  WrittenGradient gradient(0, optim::OptimizerType::lamb);
  gradient.update(true);
  EXPECT_EQ(gradient.owners().waits(), static_cast<std::uint64_t>(waits_of_step(true, true)));
}

/// What is not added before is read by the update, which adds all arrays to the first.
TEST(WeightUpdate, GradientsAreAddedBeforeOrByTheUpdate) {
  for (const int ranks_per_node : {0, 1, 2}) {
    for (const bool norm_first : {false, true}) {
      WrittenGradient gradient(ranks_per_node);
      gradient.update(norm_first);
      const comm::Seat seat = gradient.topology().seat();
      const int by_update = gradient.arrays_read(norm_first) - 1;
      const int before = norm_first || seat.nodes > 1 ? seat.node_ranks : 0;
      EXPECT_EQ(additions_of_block(norm_first, seat.nodes, seat.node_ranks), before + by_update);
      world().barrier();
    }
  }
}

}  // namespace
}  // namespace fcmnist::train
