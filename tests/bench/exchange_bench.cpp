#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <new>

#include "bench/bench.hpp"
#include "bench/plain_allreduce.hpp"
#include "bench/problem.hpp"
#include "comm/clock.hpp"
#include "comm/node_barrier.hpp"
#include "core/arena.hpp"

namespace fcmnist::bench {

namespace {

constexpr int batch_per_rank = 64;

/// Writes a gradient as backward does, so that its lines are dirty in this core's cache.
void write(std::span<float> gradient) {
  std::ranges::fill(gradient, 1.0F);
  benchmark::ClobberMemory();
}

/// The least that an exchange in shared memory does: every rank sums its blocks of the gradients into a
/// result that all can read. With one rank that is a copy.
class WindowSum {
 public:
  WindowSum(const Bench& bench, const Layout& layout)
      : node_(&bench.topology->node()),
        layout_(&layout),
        blocks_(blocks_of(layout)),
        gradients_(*node_, layout.size() * sizeof(float)),
        result_(*node_, layout.size()),
        barrier_(*bench.topology, comm::PolledWait::in_step(bench.world().stall_watch(), bench.give_way)) {}

  [[nodiscard]] std::span<float> my_gradient() const { return gradient(node_->rank()).all(); }

  void sum() {
    barrier_.wait();
    const auto ranks = static_cast<std::size_t>(node_->size());
    for (auto b = static_cast<std::size_t>(node_->rank()); b < blocks_.size(); b += ranks) sum(blocks_[b]);
    barrier_.wait();
  }

 private:
  [[nodiscard]] ArenaView<float> gradient(int rank) const {
    return {*layout_, reinterpret_cast<float*>(gradients_.segment(rank).data())};
  }

  /// From the third rank on the sum so far is read again, from the first-level cache.
  void sum(const Block& block) const {
    const std::span<float> result = ArenaView<float>(*layout_, result_.data()).block(block);
    if (node_->size() == 1) std::ranges::copy(gradient(0).block(block), result.begin());
    const float* so_far = gradient(0).block(block).data();
    for (int rank = 1; rank < node_->size(); ++rank) {
      const float* next = gradient(rank).block(block).data();
      for (std::size_t i = 0; i < result.size(); ++i) result[i] = so_far[i] + next[i];
      so_far = result.data();
    }
  }

  const comm::Communicator* node_;
  const Layout* layout_;
  std::vector<Block> blocks_;
  comm::SharedWindow gradients_;
  comm::SharedArray<float> result_;
  comm::NodeBarrier barrier_;
};

/// Seconds in which a cache line goes to another core and back. It tells how near the cores of ranks 0 and 1
/// are, on which all else here depends: 0.1 us where they share a cache, several times that where not.
double round_trip_s(const Bench& bench) {
  if (bench.topology->node().size() == 1) return 0.0;
  const comm::SharedWindow window(bench.topology->node(), sizeof(std::atomic<int>));
  auto& turn = *new (window.segment(0).data()) std::atomic<int>(0);
  constexpr int trips = 10'000;
  bench.world().barrier();
  const double begin_s = comm::now_s();
  const int me = bench.topology->node().rank();
  for (int trip = 0; me < 2 && trip < trips; ++trip) {
    while (turn.load(std::memory_order_acquire) != 2 * trip + me) {
      if (bench.give_way) sched_yield();
    }
    turn.store(2 * trip + me + 1, std::memory_order_release);
  }
  const double seconds = comm::now_s() - begin_s;
  bench.world().barrier();
  return seconds / trips;
}

/// Exchange and update of a real step against the window bound, a copy, and MPI's own sum of as many floats.
double measure_exchange(const Bench& bench, const Model& model, benchmark::State& state) {
  const config::RunConfig config = config_of(bench, model, batch_per_rank);
  config::RunConfig clipping = config;
  clipping.optimizer.max_gradient_norm = 1.0;
  const Layout layout = mlp_of(config).layout();
  const Arena<float> mine(layout), result(layout);
  const std::span<float> in = mine.view().all(), out = result.view().all();
  WindowSum window(bench, layout);
  Training plain(bench, config), clipped(bench, clipping);

  enum Part : std::size_t { window_sum, copy, allreduce, update, update_clip };
  const auto write_mine = [in] { write(in); };
  const auto copy_mine = [in, out] {
    std::memcpy(out.data(), in.data(), in.size_bytes());
    benchmark::ClobberMemory();
  };
  const comm::Communicator& world = bench.world();
  const std::array parts = {
      one_by_one(
          world, [&window] { write(window.my_gradient()); }, [&window] { window.sum(); }),
      one_by_one(world, write_mine, copy_mine),
      one_by_one(world, write_mine, [&world, in, out] { plain_allreduce(world, in, out); }),
      plain.exchange(),
      clipped.exchange(),
  };
  const Timings timings = time_in_turn(world, bench.settings, parts);
  state.counters["round_trip_ns"] = round_trip_s(bench) * 1e9;
  state.counters["window_us"] = timings.seconds(window_sum) * 1e6;
  state.counters["memcpy_us"] = timings.seconds(copy) * 1e6;
  state.counters["allreduce_us"] = timings.seconds(allreduce) * 1e6;
  state.counters["update_us"] = timings.seconds(update) * 1e6;
  state.counters["update_clip_us"] = timings.seconds(update_clip) * 1e6;
  state.counters["update_of_window"] = timings.ratio(update, window_sum);
  state.counters["update_clip_of_window"] = timings.ratio(update_clip, window_sum);
  return timings.seconds(update);
}

}  // namespace

void add_exchange(const Bench& bench) {
  for (const Model& model : models()) {
    add(fmt::format("exchange/{}", model.name),
        [&bench, &model](benchmark::State& state) { return measure_exchange(bench, model, state); });
  }
}

}  // namespace fcmnist::bench
