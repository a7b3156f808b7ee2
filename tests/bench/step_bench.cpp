#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>

#include "bench/allreduce_trainer.hpp"
#include "bench/bench.hpp"
#include "bench/gemm_work.hpp"
#include "bench/problem.hpp"

namespace fcmnist::bench {

namespace {

/// Whether both trainings have the same losses, on every rank: a comparison of times is worth nothing if
/// they compute different things.
bool agree(const comm::Communicator& world, Training& ours, AllreduceTrainer& peer) {
  bool same = true;
  for (int step = 0; step < 10; ++step) same &= std::abs(ours.step().loss - peer.step()) <= 1e-4;
  return world.max(same ? 0.0 : 1.0) == 0.0;
}

double measure_step(const Bench& bench, const Model& model, int batch, benchmark::State& state) {
  const config::RunConfig config = config_of(bench, model, batch);
  config::RunConfig clipping = config;
  clipping.optimizer.max_gradient_norm = 1.0;
  config::RunConfig with_dense = config;
  with_dense.model.input_products = model::InputProducts::dense;
  const comm::Communicator& world = bench.world();
  Training training(bench, config), clipped_training(bench, clipping), dense_training(bench, with_dense);
  AllreduceTrainer peer(bench, with_dense);
  if (!agree(world, training, peer)) {
    state.SkipWithError("after 10 steps train::Trainer and AllreduceTrainer differ in their losses");
    return 0.0;
  }
  const auto widths = model::widths_of(config.model, bench.dataset.features());
  const GemmsOfStep<GemmCall> gemms_of_step(bench, widths, static_cast<std::size_t>(batch));

  enum Part : std::size_t { ours, clipped, dense, allreduce, gemms };
  const std::array parts = {training.steps(), clipped_training.steps(), dense_training.steps(),
                            in_a_row(world, [&peer] { peer.step(); }), gemms_of_step.timed()};
  const Timings timings = time_in_turn(world, bench.settings, parts);
  const auto samples_per_s = [&](Part part) { return batch * world.size() / timings.seconds(part); };
  state.counters["samples_per_s"] = samples_per_s(ours);
  state.counters["clip_samples_per_s"] = samples_per_s(clipped);
  state.counters["dense_samples_per_s"] = samples_per_s(dense);
  state.counters["allreduce_samples_per_s"] = samples_per_s(allreduce);
  state.counters["gemm_bound_samples_per_s"] = samples_per_s(gemms);
  // Rates are to each other as times are the other way round.
  state.counters["of_gemm_bound"] = timings.ratio(gemms, ours);
  state.counters["clip_of_gemm_bound"] = timings.ratio(gemms, clipped);
  state.counters["of_dense"] = timings.ratio(dense, ours);
  state.counters["vs_allreduce"] = timings.ratio(allreduce, ours);
  const train::TimeSplit split = training.median_split();
  state.counters["data_us"] = split.data_s * 1e6;
  state.counters["compute_us"] = split.compute_s * 1e6;
  state.counters["exchange_us"] = split.exchange_s * 1e6;
  return timings.seconds(ours);
}

/// Steps in bfloat16, beside those in fp32.
double measure_half_step(const Bench& bench, const Model& model, int batch, benchmark::State& state) {
  const config::RunConfig config = config_of(bench, model, batch);
  config::RunConfig half_config = config;
  half_config.model.precision = model::Precision::bfloat16;
  const comm::Communicator& world = bench.world();
  Training half(bench, half_config), fp32(bench, config);
  const auto widths = model::widths_of(config.model, bench.dataset.features());
  const GemmsOfStep<HalfGemmCall> gemms_of_step(bench, widths, static_cast<std::size_t>(batch));

  enum Part : std::size_t { ours, in_fp32, gemms };
  const std::array parts = {half.steps(), fp32.steps(), gemms_of_step.timed()};
  const Timings timings = time_in_turn(world, bench.settings, parts);
  state.SetLabel(std::string(kernels::name_of(kernels::best_half_compute(kernels::HalfType::bfloat16))));
  state.counters["samples_per_s"] = batch * world.size() / timings.seconds(ours);
  state.counters["gemm_bound_samples_per_s"] = batch * world.size() / timings.seconds(gemms);
  state.counters["of_gemm_bound"] = timings.ratio(gemms, ours);
  state.counters["of_fp32"] = timings.ratio(in_fp32, ours);
  state.counters["GFLOPs"] = gemms_of_step.flop() / timings.seconds(ours) * 1e-9;
  const train::TimeSplit split = half.median_split();
  state.counters["data_us"] = split.data_s * 1e6;
  state.counters["compute_us"] = split.compute_s * 1e6;
  state.counters["exchange_us"] = split.exchange_s * 1e6;
  return timings.seconds(ours);
}

}  // namespace

void add_step(const Bench& bench) {
  for (const Model& model : models()) {
    for (const int batch : {16, 64, 128, 256, 512, 1024}) {
      add(fmt::format("step/{}/{}", model.name, batch), [&bench, &model, batch](benchmark::State& state) {
        return measure_step(bench, model, batch, state);
      });
    }
  }
  static const Model large{"2500_500", {2500, 2000, 1500, 1000, 500}};
  for (const Model* model : {&models().front(), &models().back(), &large}) {
    for (const int batch : {64, 256, 1024}) {
      add(fmt::format("step_bf16/{}/{}", model->name, batch),
          [&bench, model, batch](benchmark::State& state) {
            return measure_half_step(bench, *model, batch, state);
          });
    }
  }
}

}  // namespace fcmnist::bench
