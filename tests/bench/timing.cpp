#include "bench/timing.hpp"

#include <algorithm>
#include <cmath>

#include "comm/clock.hpp"

namespace fcmnist::bench {

namespace {

/// The same number on every rank, because the slowest rank's clock decides.
int calls_for(const comm::Communicator& world, const Timed& part, double min_time_s) {
  for (int calls = 1;; calls *= 2) {
    world.barrier();
    const double begin_s = comm::now_s();
    part(calls);
    const double elapsed_s = world.max(comm::now_s() - begin_s);
    if (elapsed_s >= min_time_s / 2) return static_cast<int>(std::ceil(calls * min_time_s / elapsed_s));
  }
}

}  // namespace

Timed in_a_row(const comm::Communicator& world, std::function<void()> call) {
  return [&world, call = std::move(call)](int calls) {
    world.barrier();
    const double begin_s = comm::now_s();
    for (int i = 0; i < calls; ++i) call();
    return world.max(comm::now_s() - begin_s);
  };
}

Timed one_by_one(const comm::Communicator& world, std::function<void()> prepare, std::function<void()> call) {
  return [&world, prepare = std::move(prepare), call = std::move(call)](int calls) {
    std::vector<double> elapsed_s;
    for (int i = 0; i < calls; ++i) {
      prepare();
      world.barrier();
      const double begin_s = comm::now_s();
      call();
      elapsed_s.push_back(comm::now_s() - begin_s);
    }
    return calls * world.max(median(std::move(elapsed_s)));
  };
}

double Timings::seconds(std::size_t part) const { return median(seconds_[part]); }

double Timings::ratio(std::size_t part, std::size_t other) const {
  std::vector<double> ratios(seconds_[part].size());
  std::ranges::transform(seconds_[part], seconds_[other], ratios.begin(), std::divides());
  return median(ratios);
}

Timings time_in_turn(const comm::Communicator& world, const Settings& settings,
                     std::span<const Timed> parts) {
  std::vector<int> calls;
  for (const Timed& part : parts) calls.push_back(calls_for(world, part, settings.min_time_s));
  std::vector<std::vector<double>> seconds(parts.size());
  for (int round = 0; round < settings.rounds; ++round) {
    for (std::size_t p = 0; p < parts.size(); ++p) {
      world.barrier();
      seconds[p].push_back(parts[p](calls[p]) / calls[p]);
    }
  }
  return Timings(std::move(seconds));
}

}  // namespace fcmnist::bench
