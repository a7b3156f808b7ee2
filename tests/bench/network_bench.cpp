#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <vector>

#include "bench/bench.hpp"
#include "bench/plain_allreduce.hpp"
#include "bench/problem.hpp"
#include "comm/gradient_exchange.hpp"
#include "comm/mpi_handle.hpp"
#include "core/share.hpp"

namespace fcmnist::bench {

namespace {

/// What the network can do: the least bytes that are sent for a sum over the nodes, by the leaders, each to the
/// next while it receives from the one before, all of it posted at once. (One long MPI_Sendrecv takes nearly
/// twice as long over TCP: the directions take turns.)
class Wire {
 public:
  Wire(const comm::Topology& topology, std::size_t numbers)
      : topology_(&topology), out_(numbers_of(topology, numbers)), in_(out_.size()) {}

  void send() {
    if (!topology_->is_leader()) return;
    const comm::Communicator& nodes = topology_->peers();
    const int right = (nodes.rank() + 1) % nodes.size(),
              left = (nodes.rank() + nodes.size() - 1) % nodes.size();
    constexpr int tag = 100;
    requests_.clear();
    const auto each_message = [&](const auto& begin) {
      constexpr std::size_t message = 15'360;  // numbers: what Open MPI sends over TCP at once
      for (std::size_t i = 0; i < out_.size(); i += message) {
        begin(i, static_cast<int>(std::min(message, out_.size() - i)));
      }
    };
    const MPI_Comm comm = nodes.handle().comm;
    each_message([&](std::size_t i, int count) {
      FCMNIST_MPI(MPI_Irecv(in_.data() + i, count, MPI_FLOAT, left, tag, comm, &requests_.emplace_back()));
    });
    each_message([&](std::size_t i, int count) {
      FCMNIST_MPI(MPI_Isend(out_.data() + i, count, MPI_FLOAT, right, tag, comm, &requests_.emplace_back()));
    });
    FCMNIST_MPI(MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE));
  }

 private:
  static std::size_t numbers_of(const comm::Topology& topology, std::size_t numbers) {
    const auto nodes = static_cast<std::size_t>(topology.node_count());
    return 2 * (nodes - 1) * numbers / nodes;
  }

  const comm::Topology* topology_;
  AlignedArray<float> out_, in_;
  std::vector<MPI_Request> requests_;
};

/// The exchange of a gradient that is written already.
class ExchangeAlone {
 public:
  ExchangeAlone(const Bench& bench, const config::RunConfig& config, const model::Mlp& mlp)
      : parts_(train::gradient_parts(mlp, bench.topology->node_count(), false)),
        exchange_(*bench.topology, mlp.layout(), train::ranges_of(parts_), 0, config.comm, bench.give_way) {}

  void run() {
    exchange_.begin({});
    for (std::size_t part = 0; part < parts_.size(); ++part) exchange_.post();
    exchange_.wait_for_node();
    exchange_.finish();
    exchange_.publish();
  }

 private:
  std::vector<model::GradientPart> parts_;
  comm::GradientExchange<float> exchange_;
};

/// Exchange over the network by itself, in both wire types, against the wire and MPI's own sum, and how much
/// of it a step hides: a step of all nodes against one in which every node trains for itself.
double measure_network(const Bench& bench, const Model& model, int batch, benchmark::State& state) {
  const config::RunConfig config = config_of(bench, model, batch);
  const model::Mlp mlp = mlp_of(config);
  const std::size_t numbers = mlp.layout().size();
  const comm::Topology node_alone(bench.topology->node());
  const Bench alone{&node_alone, bench.settings, bench.give_way, bench.dataset};
  Training together(bench, config), apart(alone, config);
  config::RunConfig in_halves = config;
  in_halves.comm.wire_type = comm::WireType::bfloat16;
  ExchangeAlone exchange(bench, config, mlp), half_exchange(bench, in_halves, mlp);
  Wire wire(*bench.topology, numbers);
  const Arena<float> in(mlp.layout()), out(mlp.layout());
  const comm::Communicator& world = bench.world();

  enum Part : std::size_t { on_wire, allreduce, exchanged, half_exchanged, step, step_apart };
  const std::array parts = {
      in_a_row(world, [&wire] { wire.send(); }),
      in_a_row(world, [&] { plain_allreduce(world, in.view().all(), out.view().all()); }),
      in_a_row(world, [&exchange] { exchange.run(); }),
      in_a_row(world, [&half_exchange] { half_exchange.run(); }),
      together.steps(),
      // Ranks of different nodes do not wait for each other in these steps, only after the last.
      in_a_row(world, [&apart] { apart.step(); }),
  };
  const Timings timings = time_in_turn(world, bench.settings, parts);
  state.counters["wire_us"] = timings.seconds(on_wire) * 1e6;
  state.counters["allreduce_us"] = timings.seconds(allreduce) * 1e6;
  state.counters["exchange_us"] = timings.seconds(exchanged) * 1e6;
  state.counters["bfloat16_exchange_us"] = timings.seconds(half_exchanged) * 1e6;
  state.counters["step_us"] = timings.seconds(step) * 1e6;
  state.counters["step_apart_us"] = timings.seconds(step_apart) * 1e6;
  state.counters["exchange_of_wire"] = timings.ratio(exchanged, on_wire);
  state.counters["allreduce_of_wire"] = timings.ratio(allreduce, on_wire);
  state.counters["bfloat16_of_exchange"] = timings.ratio(half_exchanged, exchanged);
  state.counters["exposed"] =
      (timings.seconds(step) - timings.seconds(step_apart)) / timings.seconds(exchanged);
  state.counters["samples_per_s"] = batch * world.size() / timings.seconds(step);
  return timings.seconds(exchanged);
}

}  // namespace

void add_network(const Bench& bench) {
  for (const int batch : {64, 256, 1024}) {
    add(fmt::format("network/500_300/{}", batch), [&bench, batch](benchmark::State& state) {
      return measure_network(bench, models().front(), batch, state);
    });
  }
}

}  // namespace fcmnist::bench
