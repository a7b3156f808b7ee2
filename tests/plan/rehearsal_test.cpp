#include "plan/rehearsal.hpp"

#include <gtest/gtest.h>

#include "comm/placement.hpp"
#include "setup/settle.hpp"
#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"
#include "train/stage_placement.hpp"

namespace fcmnist::plan {
namespace {

constexpr data::DatasetShape shape{500, 4, 5};

TEST(Rehearsal, TimesStepsOnEveryGridOfThisWorld) {
  const comm::Topology topology(test::world());
  const bool give_way = comm::oversubscribed(comm::gather_placement(topology));
  const config::RunConfig config = test::small_config();
  const auto widths = model::widths_of(config.model, shape.features());
  for (const int stages : test::stage_counts(test::world().size(), config)) {
    const comm::Grid grid(topology, stages);
    const Rehearsed result =
        rehearse(config, grid, shape, train::place_stages(widths, stages), config.kernels.gemm, give_way);
    EXPECT_GT(result.step_s, 0.0);
    EXPECT_DOUBLE_EQ(result.step_s, test::world().max(result.step_s)) << "every rank knows the slowest one";
    EXPECT_GT(result.time.compute_s, 0.0);
    EXPECT_LE(result.time.step_s(), result.step_s);
    EXPECT_EQ(result.pipeline.busy_s.size(), stages > 1 ? static_cast<std::size_t>(stages) : 0U);
  }
}

TEST(Rehearsal, CannotDiverge) {
  const comm::Topology topology(test::world());
  config::RunConfig config = test::small_config();
  config.optimizer.learning_rate = {{optim::ScheduleKind::constant, 1e30}};
  const auto widths = model::widths_of(config.model, shape.features());
  EXPECT_NO_THROW(rehearse(config, comm::Grid(topology), shape, train::place_stages(widths, 1),
                           config.kernels.gemm, true));
}

TEST(Rehearsal, TakesStepsOfTheDataThatThereAre) {
  const comm::Topology topology(test::world());
  config::RunConfig config = test::small_config();
  config.train_input.batch_size = 1000;  // of 500 samples
  const auto widths = model::widths_of(config.model, shape.features());
  EXPECT_NO_THROW(rehearse(config, comm::Grid(topology), shape, train::place_stages(widths, 1),
                           config.kernels.gemm, true));
}

}  // namespace
}  // namespace fcmnist::plan
