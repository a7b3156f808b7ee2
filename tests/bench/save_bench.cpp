#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "comm/clock.hpp"
#include "core/arena.hpp"
#include "store/checkpoint.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::bench {

namespace {

/// Saving weights and momentum as train::RunFiles does, on rank 0 in the current directory: how long the loop
/// stops, how long until the file is durable, how large it is. The first save, whose memory is new, does not
/// count.
double measure_save(const Bench& bench, const Model& model, benchmark::State& state) {
  constexpr int saves = 21;
  const model::Mlp mlp = mlp_of(config_of(bench, model, 64));
  Arena<float> weights(mlp.layout()), momentum(mlp.layout());
  const store::OptimizerArray arrays[] = {{"momentum_buffer", momentum.view()}};
  const auto path = std::filesystem::current_path() / fmt::format("fcmnist_bench_{}.h5", ::getpid());
  std::vector<double> pause_s, durable_s;
  double bytes = 0.0;
  for (int save = 0; save <= saves && bench.world().rank() == 0; ++save) {
    const double begin_s = comm::now_s();
    std::vector<std::byte> image = store::checkpoint_image(path, {}, weights.view(), arrays);
    const double image_s = comm::now_s();
    store::write_sealed(path, store::FileKind::checkpoint, image);
    const double end_s = comm::now_s();
    bytes = static_cast<double>(image.size());
    if (save == 0) continue;
    pause_s.push_back(image_s - begin_s);
    durable_s.push_back(end_s - begin_s);
  }
  bench.world().barrier();
  if (bench.world().rank() != 0) return 0.0;
  std::filesystem::remove(path);
  state.counters["pause_ms"] = median(pause_s) * 1e3;
  state.counters["longest_pause_ms"] = *std::ranges::max_element(pause_s) * 1e3;
  state.counters["durable_ms"] = median(durable_s) * 1e3;
  state.counters["file_MB"] = bytes / 1e6;
  return median(std::move(pause_s));
}

}  // namespace

void add_save(const Bench& bench) {
  for (const Model& model : models()) {
    add(fmt::format("save/{}", model.name),
        [&bench, &model](benchmark::State& state) { return measure_save(bench, model, state); });
  }
}

}  // namespace fcmnist::bench
