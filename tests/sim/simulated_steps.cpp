#include "sim/simulated_steps.hpp"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "comm/circulant_allreduce.hpp"
#include "comm/clock.hpp"
#include "comm/gradient_exchange.hpp"
#include "comm/mpi_handle.hpp"
#include "comm/stall_watch.hpp"
#include "comm/topology.hpp"
#include "core/layout.hpp"
#include "core/share.hpp"
#include "sim/cluster.hpp"

namespace simgrid::smpi {
/// MPI_Allreduce by the algorithm that Open MPI chooses for the size and the ranks. Which one MPI_Allreduce itself takes can
/// only be set by SimGrid's launcher, which this program does not need.
int allreduce__ompi(const void* send, void* receive, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm);
}  // namespace simgrid::smpi

namespace fcmnist::sim {

namespace {

/// SimGrid's MPI_COMM_WORLD is a name only, which its search for messages cannot look up when several programs may run.
MPI_Comm copy_of_world() {
  FCMNIST_MPI(MPI_Init(nullptr, nullptr));
  MPI_Comm copy = MPI_COMM_NULL;
  FCMNIST_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &copy));
  return copy;
}

std::unique_ptr<comm::StallWatch::World> world_of(MPI_Comm comm) {
  auto world = std::make_unique<comm::StallWatch::World>();
  int rank = 0, size = 0;
  FCMNIST_MPI(MPI_Comm_rank(comm, &rank));
  FCMNIST_MPI(MPI_Comm_size(comm, &size));
  world->comm = comm;
  world->rank = static_cast<std::size_t>(rank);
  world->notes.assign(static_cast<std::size_t>(size), MPI_REQUEST_NULL);
  world->host_pids.assign(static_cast<std::size_t>(size), 0);
  return world;
}

}  // namespace

struct SimulatedRank::World {
  MPI_Comm comm = copy_of_world();
  comm::StallWatch watch{world_of(comm)};
  comm::Communicator communicator{std::make_unique<comm::Communicator::Handle>(comm, false, watch)};
  comm::Topology topology{communicator};
};

SimulatedRank::SimulatedRank() : world_(std::make_unique<World>()) {}
SimulatedRank::~SimulatedRank() {
  world_.reset();
  comm::check_mpi_nothrow(MPI_Finalize());
}
int SimulatedRank::rank() const { return world_->communicator.rank(); }

namespace {

/// The numbers of a gradient whose sum is known: each has the same value everywhere on one rank.
class KnownGradient {
 public:
  KnownGradient(const comm::Communicator& world, comm::WireType wire)
      : mine_(static_cast<float>(world.rank() % 7)), sum_(0.0F), error_(0.0F) {
    for (int rank = 0; rank < world.size(); ++rank) sum_ += static_cast<float>(rank % 7);
    if (wire == comm::WireType::bfloat16) {  // the bound of CirculantAllreduce
      error_ = static_cast<float>(comm::allreduce_rounds(world.size()) / 2 + 1) * 0x1.02p-8F * sum_;
    }
  }
  void write(std::span<float> gradient) const { std::ranges::fill(gradient, mine_); }
  [[nodiscard]] bool is_sum(std::span<const float> gradient) const {
    return std::ranges::all_of(gradient, [this](float number) { return std::abs(number - sum_) <= error_; });
  }

 private:
  float mine_, sum_, error_;
};

/// One slot for each part, so that the exchange has the parts of the forecast.
struct Parts {
  Layout layout;
  std::vector<Range> ranges;
  explicit Parts(std::span<const std::size_t> numbers) {
    for (const std::size_t count : numbers) {
      const std::size_t begin = layout.size(), row = Layout::alignment;
      layout.add(fmt::format("part {}", ranges.size()), (count + row - 1) / row, row);
      ranges.push_back({begin, layout.size()});
    }
  }
};

/// The program's exchange, and a step around it.
class Step {
 public:
  static constexpr std::size_t small_count = 8;  // about as many as train::StepSums has

  Step(const comm::Topology& topology, const Parts& parts, const ForecastFile& forecast)
      : forecast_(&forecast),
        exchange_(topology, parts.layout, parts.ranges, small_count, options_of(forecast), true) {}

  [[nodiscard]] std::span<float> gradient() { return exchange_.local_gradient().all(); }
  [[nodiscard]] bool has_sum(const KnownGradient& known) {
    return std::ranges::all_of(exchange_.owned(), [&](std::size_t index) {
      const Block& block = exchange_.blocks()[index];
      return known.is_sum({exchange_.sources(block)[0], block.count});
    });
  }

  /// Returns the time in which the rank waited for the network.
  double run() {
    double now_s = -forecast_->computing_s;  // 0 is the end of the backward pass
    const auto compute_until = [&now_s](double then_s) {
      pass(then_s - now_s);
      now_s = std::max(now_s, then_s);
    };
    compute_until(forecast_->part_written_s.front());
    exchange_.begin(small_);
    for (const double written_s : forecast_->part_written_s) {
      compute_until(written_s);
      exchange_.post();
    }
    compute_until(0.0);
    const double exposed_s = finish();
    pass(forecast_->update_s);
    exchange_.publish();
    return exposed_s;
  }
  void exchange_alone() {
    exchange_.begin(small_);
    for (std::size_t part = 0; part < exchange_.parts().size(); ++part) exchange_.post();
    finish();
    exchange_.publish();
  }

 private:
  static comm::CommOptions options_of(const ForecastFile& forecast) {
    comm::CommOptions options;
    options.wire_type = forecast.wire_type;
    return options;
  }
  double finish() {
    exchange_.wait_for_node();
    const double begin_s = comm::now_s();
    exchange_.finish();
    return comm::now_s() - begin_s;
  }

  const ForecastFile* forecast_;
  std::array<double, small_count> small_{};
  comm::GradientExchange<float> exchange_;
};

/// The peer: a reduce-scatter and an all-gather, each with the neighbours on a ring, in 2 (P-1) rounds.
void sum_on_a_ring(const comm::Communicator& group, std::span<float> numbers, std::vector<float>& incoming) {
  const int size = group.size(), rank = group.rank();
  const int right = (rank + 1) % size, left = (rank + size - 1) % size;
  const auto chunk = [&](int index) {
    const Range range = share_of(numbers.size(), static_cast<std::size_t>(size),
                                 static_cast<std::size_t>((index % size + size) % size));
    return numbers.subspan(range.begin, range.size());
  };
  constexpr int tag = 200;
  const auto shift = [&](std::span<const float> out, std::span<float> in) {
    FCMNIST_MPI(MPI_Sendrecv(out.data(), static_cast<int>(out.size()), MPI_FLOAT, right, tag, in.data(),
                             static_cast<int>(in.size()), MPI_FLOAT, left, tag, group.handle().comm,
                             MPI_STATUS_IGNORE));
  };
  for (int round = 0; round + 1 < size; ++round) {
    const std::span<float> mine = chunk(rank - round - 1);
    incoming.resize(mine.size());
    shift(chunk(rank - round), incoming);
    for (std::size_t i = 0; i < mine.size(); ++i) mine[i] += incoming[i];
  }
  for (int round = 0; round + 1 < size; ++round) shift(chunk(rank + 1 - round), chunk(rank - round));
}

}  // namespace

namespace {

/// Simulated seconds of some work of all ranks. The barrier is MPI's own, since that of Communicator polls.
double seconds_of(const comm::Communicator& world, const std::function<void()>& work) {
  FCMNIST_MPI(MPI_Barrier(world.handle().comm));
  const double begin_s = comm::now_s();
  work();
  return comm::now_s() - begin_s;
}

}  // namespace

StepTimes SimulatedRank::simulate(const ForecastFile& forecast, int steps) {
  const comm::Communicator& world = world_->communicator;
  const KnownGradient known(world, forecast.wire_type);
  const Parts parts(forecast.part_numbers);
  StepTimes times;
  simulate_peers(forecast, times);
  Step step(world_->topology, parts, forecast);
  known.write(step.gradient());
  step.run();  // The first step begins alike on all nodes, later ones do not.
  times.is_exact = times.is_exact && step.has_sum(known);
  times.step_s = seconds_of(world,
                            [&] {
                              for (int i = 0; i < steps; ++i) times.exposed_s += step.run() / steps;
                            }) /
                 steps;
  times.exchange_s = seconds_of(world, [&] { step.exchange_alone(); });
  times.is_exact = times.is_exact && step.has_sum(known);
  return times;
}

void SimulatedRank::simulate_peers(const ForecastFile& forecast, StepTimes& times) {
  if (peers_) {
    times = *peers_;
    return;
  }
  const comm::Communicator& world = world_->communicator;
  const KnownGradient known(world, comm::WireType::float32);
  const std::size_t count = Parts(forecast.part_numbers).layout.size();
  std::vector<float> numbers(count), sum(count);
  known.write(numbers);
  times.allreduce_s = seconds_of(world, [&] {
    FCMNIST_MPI(simgrid::smpi::allreduce__ompi(numbers.data(), sum.data(), static_cast<int>(count), MPI_FLOAT,
                                               MPI_SUM, world.handle().comm));
  });
  times.is_exact = times.is_exact && known.is_sum(sum);
  times.ring_s = seconds_of(world, [&] { sum_on_a_ring(world, numbers, sum); });
  times.is_exact = times.is_exact && known.is_sum(numbers);
  peers_ = times;
}

}  // namespace fcmnist::sim
