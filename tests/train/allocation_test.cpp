// Counts what the program allocates, by replacing operator new for this executable.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

#include "optim/update.hpp"
#include "support/mpi_test.hpp"
#include "support/small_problem.hpp"
#include "train/trainer.hpp"

namespace {
std::atomic<long> allocations = 0;
std::atomic<std::size_t> bytes_allocated = 0;

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  bytes_allocated += size;
  void* p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

// Not inlined, or the compiler sees free() without the matching aligned_alloc() and warns.
[[gnu::noinline]] void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace fcmnist::train {
namespace {

using test::world;

/// Ranks per node: one node; several, so that nodes exchange as well.
struct Case {
  int ranks_per_node = 0;
  model::Precision precision = model::Precision::float32;
  optim::OptimizerType optimizer = optim::OptimizerType::sgd;
};

class Allocations : public testing::TestWithParam<Case> {};

TEST_P(Allocations, AStepMakesNone) {
  config::RunConfig config = test::small_config();
  config.optimizer.grad_accum_steps = 2;
  config.optimizer.max_gradient_norm = 0.3;
  config.optimizer.average_decay = 0.9;
  config.model.precision = GetParam().precision;
  config.optimizer.type = GetParam().optimizer;
  const test::SmallProblem problem(150);
  const data::Dataset dataset = problem.view();
  const comm::Topology topology(world(), GetParam().ranks_per_node);
  const comm::Grid grid(topology);
  const model::Mlp mlp(model::widths_of(config.model, dataset.features()), config.model, config.kernels.gemm);
  const data::EpochPlan plan(dataset.samples(), step_batch(config, world().size()), false);
  ModelState state(grid, mlp, optim::state_arrays(config.optimizer));
  Trainer trainer(config, grid, dataset, plan, mlp, state, 100, true);
  state.initialize(1);
  // The first epoch: products of halves keep something for each number of samples. (Those of bfloat16
  // are not here: oneDNN allocates in every call.)
  for (int s = 0; s < 3; ++s) static_cast<void>(trainer.step());
  const long before = allocations;
  for (int s = 0; s < 10; ++s) static_cast<void>(trainer.step());  // over the end of an epoch
  EXPECT_EQ(allocations - before, 0);
  EXPECT_GT(before, 0) << "the counter counts";
  world().barrier();
}

/// Bytes that are allocated while an object is made, of which a forecast tells all but some kilobytes.
template <class Make>
double bytes_to(Make make) {
  const std::size_t before = bytes_allocated;
  const auto object = make();
  const std::size_t after = bytes_allocated;
  world().barrier();
  return static_cast<double>(after - before);
}
constexpr double some_kilobytes = 16e3;

class Foretold : public testing::TestWithParam<model::Precision> {
 protected:
  Foretold() {
    config.model.hidden_sizes = {300, 200};
    config.model.precision = GetParam();
  }
  config::RunConfig config = test::small_config();
  comm::Topology topology{world()};
  comm::Grid grid{topology};
  model::Mlp mlp{model::widths_of(config.model, test::SmallProblem::features), config.model,
                 config.kernels.gemm};
};

TEST_P(Foretold, PrivateMemoryOfTheModelState) {
  for (const double decay : {0.0, 0.9}) {
    config.optimizer.average_decay = decay;
    const double bytes = bytes_to(
        [&] { return std::make_unique<ModelState>(grid, mlp, optim::state_arrays(config.optimizer)); });
    EXPECT_NEAR(bytes, static_cast<double>(ModelState::private_bytes(mlp.layout(), GetParam(), decay > 0.0)),
                some_kilobytes);
  }
}

TEST_P(Foretold, PrivateMemoryOfTheWork) {
  constexpr std::size_t samples = 1000;
  const test::SmallProblem problem(150);
  const data::Dataset dataset = problem.view();
  const ModelState state(grid, mlp, {});
  StepObserver observer;
  using Purpose = comm::StageLink::Purpose;
  for (const auto& [purpose, average_shifts] :
       {std::pair(Purpose::training, 0), std::pair(Purpose::evaluation, 0),
        std::pair(Purpose::evaluation, 2)}) {
    const double bytes = bytes_to([&] {
      return make_stage_work({.grid = &grid,
                              .purpose = purpose,
                              .mlp = &mlp,
                              .weights = state.working_weights(),
                              .dataset = &dataset,
                              .gradient_parts = {},
                              .max_samples = samples,
                              .average_shifts = average_shifts,
                              .observer = &observer});
    });
    const StageWorkBytes foretold = stage_work_bytes(purpose, 1, 0, mlp, samples, average_shifts);
    EXPECT_NEAR(bytes, static_cast<double>(foretold.activations + foretold.messages), some_kilobytes);
  }
}

TEST_P(Foretold, PrivateMemoryOfTheGradientSum) {
  for (const bool reproducible : {false, true}) {
    for (const std::size_t microbatches : {1U, 2U}) {
      const auto parts = ranges_of(gradient_parts(mlp, 1, reproducible));
      const double bytes = bytes_to([&] {
        return make_gradient_sum(reproducible, microbatches, grid, mlp.layout(),
                                 mlp.layout().parameter_count(), parts, 1, {}, true);
      });
      EXPECT_NEAR(
          bytes, static_cast<double>(gradient_sum_private_bytes(reproducible, microbatches, 1, mlp.layout())),
          some_kilobytes);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, Foretold,
                         testing::Values(model::Precision::float32, model::Precision::float16));

INSTANTIATE_TEST_SUITE_P(RanksPerNode, Allocations,
                         testing::Values(Case{0}, Case{1}, Case{2}, Case{0, model::Precision::float16},
                                         Case{0, model::Precision::float32, optim::OptimizerType::lamb}));

}  // namespace
}  // namespace fcmnist::train
