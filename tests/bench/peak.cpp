#include "bench/peak.hpp"

#include <immintrin.h>

#include <cstring>

#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "core/arena.hpp"

namespace fcmnist::bench {

namespace {

constexpr int repeats = 10'000;
constexpr int chains = 12;  // at least latency x units (4 x 2 or 5 x 2), and few enough for 16 registers

// Every chain tends to 1, far from denormal numbers and infinity. They begin at different numbers, or the
// compiler would see that one chain does for all.
constexpr float factor = 0.999F;
constexpr float summand = 0.001F;

__attribute__((target("avx512f"))) void fma_avx512() {
  const __m512 a = _mm512_set1_ps(factor), b = _mm512_set1_ps(summand);
  __m512 x[chains];
#pragma GCC unroll 12
  for (int c = 0; c < chains; ++c) x[c] = _mm512_set1_ps(static_cast<float>(c));
  for (int i = 0; i < repeats; ++i) {
#pragma GCC unroll 12
    for (auto& chain : x) chain = _mm512_fmadd_ps(chain, a, b);
  }
  __m512 sum = b;
#pragma GCC unroll 12
  for (const auto& chain : x) sum = _mm512_add_ps(sum, chain);
  benchmark::DoNotOptimize(_mm512_cvtss_f32(sum));
}

__attribute__((target("avx2,fma"))) void fma_avx2() {
  const __m256 a = _mm256_set1_ps(factor), b = _mm256_set1_ps(summand);
  __m256 x[chains];
#pragma GCC unroll 12
  for (int c = 0; c < chains; ++c) x[c] = _mm256_set1_ps(static_cast<float>(c));
  for (int i = 0; i < repeats; ++i) {
#pragma GCC unroll 12
    for (auto& chain : x) chain = _mm256_fmadd_ps(chain, a, b);
  }
  __m256 sum = b;
#pragma GCC unroll 12
  for (const auto& chain : x) sum = _mm256_add_ps(sum, chain);
  benchmark::DoNotOptimize(_mm256_cvtss_f32(sum));
}

bool has_avx512() { return __builtin_cpu_supports("avx512f") != 0; }

double measure_fma(const Bench& bench, benchmark::State& state) {
  const Timed part = in_a_row(bench.world(), fma_burst);
  const double seconds = time_in_turn(bench.world(), bench.settings, {&part, 1}).seconds(0);
  state.counters["GFLOPs"] = fma_burst_flop() / seconds * 1e-9;
  return seconds;
}

/// Bytes copied per second; each is read once and written once.
double measure_memcpy(const Bench& bench, benchmark::State& state) {
  const Layout layout = mlp_of(config_of(bench, models().front(), 1)).layout();
  const Arena<float> from(layout), to(layout);
  const std::size_t bytes = layout.size() * sizeof(float);
  const Timed part = in_a_row(bench.world(), [&] {
    std::memcpy(to.view().data(), from.view().data(), bytes);
    benchmark::ClobberMemory();
  });
  const double seconds = time_in_turn(bench.world(), bench.settings, {&part, 1}).seconds(0);
  state.counters["GB_per_s"] = static_cast<double>(bytes) / seconds * 1e-9;
  return seconds;
}

}  // namespace

void fma_burst() {
  if (has_avx512()) {
    fma_avx512();
  } else {
    fma_avx2();
  }
}

double fma_burst_flop() { return 2.0 * repeats * chains * (has_avx512() ? 16 : 8); }

void add_peak(const Bench& bench) {
  add("peak/fma", [&bench](benchmark::State& state) { return measure_fma(bench, state); });
  add("peak/memcpy", [&bench](benchmark::State& state) { return measure_memcpy(bench, state); });
}

}  // namespace fcmnist::bench
