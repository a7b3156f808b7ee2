#include <benchmark/benchmark.h>
#include <filesystem>
#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "comm/session.hpp"
#include "store/checkpoint.hpp"
#include "store/hdf5.hpp"
#include "core/digest.hpp"
#include <fmt/format.h>
namespace fcmnist::bench {
void add_save(const Bench& bench) {
  add("save/500_300", [&bench](benchmark::State& state) {
    const config::RunConfig config = config_of(bench, models().front(), 64);
    const model::Mlp mlp = mlp_of(config);
    Arena<float> a(mlp.layout()), b(mlp.layout());
    store::CheckpointHeader header;
    const store::OptimizerArray arrays[] = {{"momentum_buffer", b.view()}};
    for (int i = 0; i < 5; ++i) {
      double t0 = comm::now_s();
      auto bytes = store::checkpoint_bytes("x", header, a.view(), arrays);
      double t1 = comm::now_s();
      sha256_hex(bytes);
      double t2 = comm::now_s();
      std::vector<std::byte> copy(bytes);
      double t3 = comm::now_s();
      fmt::print("all {:.2f} ms, sha {:.2f} ms, copy {:.2f}\n", (t1 - t0) * 1e3, (t2 - t1) * 1e3, (t3-t2)*1e3);
    }
    return 1.0;
  });
}
}
