#include "plan/rates.hpp"

#include <gtest/gtest.h>

#include "comm/placement.hpp"
#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"
#include "train/stage_placement.hpp"

namespace fcmnist::plan {
namespace {

constexpr data::DatasetShape small_set{500, 4, 5};

Rates measure(const config::RunConfig& config, int ranks, int stages) {
  const comm::Topology topology(test::world());
  const auto widths = model::widths_of(config.model, small_set.features());
  const Mapping mapping = map_training(config, {small_set, {}}, train::place_stages(widths, stages),
                                       comm::planned_placement(ranks, 1));
  return measure_rates(config, mapping, small_set, topology);
}

TEST(Rates, AreMeasuredForEveryStage) {
  const Rates rates = measure(test::small_config(), 6, 3);
  ASSERT_EQ(rates.stages.size(), 3U);
  for (const StageTime& stage : rates.stages) {
    EXPECT_GT(stage.forward_s, 0.0);
    EXPECT_GT(stage.deltas_s, 0.0);
    EXPECT_GT(stage.weights_s, 0.0);
  }
  EXPECT_GT(rates.update_s, rates.copy_s) << "reads three arrays and writes two";
  EXPECT_GT(rates.copy_s, 0.0);
  EXPECT_EQ(rates.fixed_point_s, 0.0);
  EXPECT_GT(rates.within_node.bytes_per_s, 0.0);
  EXPECT_DOUBLE_EQ(rates.ranks_per_core, comm::threads_per_core(comm::planned_placement(6, 1), 1));
}

TEST(Rates, OfReproducibleSumsAreMeasuredToo) {
  config::RunConfig config = test::small_config();
  config.run.reproducible = true;
  config.run.microbatch = 8;
  EXPECT_GT(measure(config, 2, 1).fixed_point_s, 0.0);
}

TEST(Rates, OfHalvesMoveHalvesWithinANode) {
  config::RunConfig config = test::small_config();
  const Rates in_float = measure(config, 2, 1);
  config.model.precision = model::Precision::bfloat16;
  const Rates in_half = measure(config, 2, 1);
  EXPECT_DOUBLE_EQ(in_half.within_node.bytes_per_s, 2 / (3 * in_half.copy_s));
  EXPECT_DOUBLE_EQ(in_float.within_node.bytes_per_s, 4 / (3 * in_float.copy_s));
}

TEST(Rates, LargerMicrobatchesTakeLonger) {
  config::RunConfig config = test::small_config();
  config.model.hidden_sizes = {400};
  config.train_input.batch_size = 8;
  const double small_s = measure(config, 1, 1).stages[0].total_s();
  config.train_input.batch_size = 400;
  EXPECT_GT(measure(config, 1, 1).stages[0].total_s(), 2 * small_s);
}

}  // namespace
}  // namespace fcmnist::plan
