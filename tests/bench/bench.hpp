#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>

#include "bench/timing.hpp"
#include "comm/topology.hpp"
#include "data/dataset.hpp"

namespace fcmnist::bench {

/// What every benchmark needs; outlives them all.
struct Bench {
  const comm::Topology* topology;
  Settings settings;
  bool give_way = false;  ///< more ranks than cores
  data::Dataset dataset;  ///< random images, one copy for the node

  [[nodiscard]] const comm::Communicator& world() const { return topology->world(); }
};

/// A whole measurement; sets the counters and returns the seconds of one call, as the benchmark's time.
using Measurement = std::function<double(benchmark::State& state)>;

/// Registers a measurement as one iteration: Google Benchmark would choose the number of iterations on each
/// rank for itself, and ranks that disagree about it wait for each other for ever.
inline void add(const std::string& name, Measurement measure) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [measure = std::move(measure)](benchmark::State& state) {
                                 for ([[maybe_unused]] auto once : state) {
                                   const double seconds = measure(state);
                                   if (state.error_occurred()) break;
                                   state.SetIterationTime(seconds);
                                 }
                               })
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

void add_peak(const Bench& bench);
void add_gemm(const Bench& bench);
void add_exchange(const Bench& bench);
void add_step(const Bench& bench);
void add_replica(const Bench& bench);
void add_reproducible(const Bench& bench);
/// Of at least two ranks.
void add_pipeline(const Bench& bench);
void add_save(const Bench& bench);
/// Also for ranks on several nodes.
void add_check(const Bench& bench);
void add_plan(const Bench& bench);
/// For ranks on several nodes; the others are for one node.
void add_network(const Bench& bench);

}  // namespace fcmnist::bench
