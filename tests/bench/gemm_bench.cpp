#include <fmt/format.h>

#include <array>
#include <set>
#include <string>

#include "bench/bench.hpp"
#include "bench/gemm_work.hpp"
#include "bench/peak.hpp"
#include "bench/problem.hpp"

namespace fcmnist::bench {

namespace {

std::vector<std::size_t> widths_of(const Bench& bench, const Model& model) {
  return model::widths_of(config_of(bench, model, 1).model, bench.dataset.features());
}

/// Times a part of `flop` operations against the core's limit; returns its seconds per call.
double measure(const Bench& bench, const Timed& part, double flop, benchmark::State& state) {
  const std::array parts = {part, in_a_row(bench.world(), fma_burst)};
  const Timings timings = time_in_turn(bench.world(), bench.settings, parts);
  state.counters["GFLOPs"] = flop / timings.seconds(0) * 1e-9;
  state.counters["of_peak"] = timings.ratio(1, 0) * flop / fma_burst_flop();
  return timings.seconds(0);
}

double measure_step(const Bench& bench, const Model& model, std::size_t batch, benchmark::State& state) {
  const GemmsOfStep<GemmCall> gemms(bench, widths_of(bench, model), batch);
  const double seconds = measure(bench, gemms.timed(), gemms.flop(), state);
  state.counters["us_per_step"] = seconds * 1e6;
  state.counters["samples_per_s"] = static_cast<double>(batch) * bench.world().size() / seconds;
  return seconds;
}

/// What no step in bfloat16 can beat, beside the same products in fp32.
double measure_half_step(const Bench& bench, const Model& model, std::size_t batch, benchmark::State& state) {
  const GemmsOfStep<HalfGemmCall> half(bench, widths_of(bench, model), batch);
  const GemmsOfStep<GemmCall> fp32(bench, widths_of(bench, model), batch);
  const std::array parts = {half.timed(), fp32.timed()};
  const Timings timings = time_in_turn(bench.world(), bench.settings, parts);
  const double seconds = timings.seconds(0);
  state.SetLabel(std::string(kernels::name_of(kernels::best_half_compute(kernels::HalfType::bfloat16))));
  state.counters["GFLOPs"] = half.flop() / seconds * 1e-9;
  state.counters["of_fp32"] = timings.ratio(1, 0);
  state.counters["us_per_step"] = seconds * 1e6;
  state.counters["samples_per_s"] = static_cast<double>(batch) * bench.world().size() / seconds;
  return seconds;
}

double measure_call(const Bench& bench, const Gemm& gemm, benchmark::State& state) {
  const GemmCall call(bench, gemm);
  return measure(bench, in_a_row(bench.world(), [&call] { call(); }), gemm.flop(), state);
}

}  // namespace

void add_gemm(const Bench& bench) {
  for (const Model& model : models()) {
    for (const std::size_t batch : {16, 64, 128, 256, 1024}) {
      add(fmt::format("gemm/{}/{}", model.name, batch), [&bench, &model, batch](benchmark::State& state) {
        return measure_step(bench, model, batch, state);
      });
    }
  }
  static const Model large{"2500_500", {2500, 2000, 1500, 1000, 500}};
  for (const Model* model : {&models().front(), &models().back(), &large}) {
    for (const std::size_t batch : {64, 256, 1024}) {
      add(fmt::format("bf16/{}/{}", model->name, batch), [&bench, model, batch](benchmark::State& state) {
        return measure_half_step(bench, *model, batch, state);
      });
    }
  }
  std::set<std::string> known;
  for (const Model& model : models()) {
    for (const std::size_t batch : {64, 256}) {
      for (const Product& product : products_of(widths_of(bench, model), batch)) {
        for (const Gemm& gemm : product.ways) {
          const std::string name = "gemm_shape/" + to_string(gemm);
          if (!known.insert(name).second) continue;
          add(name, [&bench, gemm](benchmark::State& state) { return measure_call(bench, gemm, state); });
        }
      }
    }
  }
}

}  // namespace fcmnist::bench
