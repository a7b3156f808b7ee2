#include "plan/plan_search.hpp"

#include <gtest/gtest.h>

#include "model/layer_placement.hpp"
#include "model/precision.hpp"
#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"

namespace fcmnist::plan {
namespace {

using test::world;

/// What multiplies numbers of a precision on the slowest rank.
kernels::HalfCompute compute_of(model::Precision precision) {
  if (precision == model::Precision::float32) return kernels::HalfCompute::emulated;
  const auto mine = kernels::best_half_compute(model::half_type(precision));
  return static_cast<kernels::HalfCompute>(world().min(static_cast<std::int64_t>(mine)));
}

/// Searches a plan for this world, and checks that every rank finds the same one.
config::Plan search(const comm::Grid& grid, const config::RunConfig& config) {
  const auto widths = model::widths_of(config.model, test::SmallProblem::features);
  FoundPlan found = search_plan(config, grid, widths, 24, compute_of(config.model.precision), true);
  found.plan.target = {"cpu",
                       "libraries",
                       "precision",
                       1,
                       {widths.begin(), widths.end()},
                       24,
                       world().size(),
                       grid.world().node_count(),
                       grid.stages()};
  const std::string text = config::write_plan(found.plan);
  EXPECT_EQ(text, world().broadcast(text, 0)) << "rank " << world().rank();
  EXPECT_EQ(config::read_plan(text, "plan"), found.plan) << "what was found can be read";
  EXPECT_FALSE(found.report.empty());
  return found.plan;
}

TEST(SearchPlan, ChoosesALibraryForEveryProduct) {
  const comm::Topology topology(world());
  const config::RunConfig config = test::small_config();
  const config::Plan plan = search(comm::Grid(topology), config);
  ASSERT_EQ(plan.gemm.size(), 3U);
  EXPECT_EQ(plan.gemm[0].delta, config.kernels.gemm) << "the first layer has none";
  EXPECT_EQ(plan.exchange_streams, 0);
  EXPECT_TRUE(plan.first_layers.empty());
}

/// Where instructions multiply 16-bit numbers there is no library to choose. Stages are placed by their times.
TEST(SearchPlan, OfHalvesChoosesALibraryWhereTheyAreEmulated) {
  for (const auto precision : {model::Precision::bfloat16, model::Precision::float16}) {
    config::RunConfig config = test::small_config();
    config.model.precision = precision;
    const bool is_emulated = compute_of(precision) == kernels::HalfCompute::emulated;
    for (const int stages : test::stage_counts(world().size(), config)) {
      const comm::Topology topology(world());
      const config::Plan plan = search(comm::Grid(topology, stages), config);
      EXPECT_EQ(plan.gemm.size(), is_emulated ? 3U : 0U);
      EXPECT_EQ(plan.first_layers.size(), stages > 1 ? static_cast<std::size_t>(stages) : 0U);
    }
  }
}

TEST(SearchPlan, ChoosesStreamsBetweenNodes) {
  for (const bool reproducible : {false, true}) {
    const comm::Topology topology(world(), 2);
    config::RunConfig config = test::small_config();
    config.run.reproducible = reproducible;
    const config::Plan plan = search(comm::Grid(topology), config);
    EXPECT_LE(plan.exchange_streams, topology.node_count() > 1 ? topology.smallest_node() : 0);
    EXPECT_EQ(plan.exchange_streams > 0, topology.node_count() > 1);
  }
}

/// The product between the first two hidden layers takes nearly all the time.
TEST(SearchPlan, PlacesStagesByTime) {
  config::RunConfig config = test::small_config();
  config.model.hidden_sizes = {600, 600, 10, 10};
  for (const int stages : test::stage_counts(world().size(), config)) {
    const comm::Topology topology(world());
    const config::Plan plan = search(comm::Grid(topology, stages), config);
    EXPECT_EQ(plan.first_layers.size(), stages > 1 ? static_cast<std::size_t>(stages) : 0U);
    if (stages == 2) {
      EXPECT_GE(plan.first_layers[1], 1);
      EXPECT_LE(plan.first_layers[1], 2);
    }
  }
}

}  // namespace
}  // namespace fcmnist::plan
