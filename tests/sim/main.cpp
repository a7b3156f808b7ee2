/// fcmnist_simulate: steps of training on a cluster that is not there. See README.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "comm/circulant_allreduce.hpp"
#include "plan/exchange_simulation.hpp"
#include "sim/cluster.hpp"
#include "sim/forecast_file.hpp"
#include "sim/simulated_steps.hpp"

namespace {

using namespace fcmnist::sim;

/// Messages of 60 kB follow each other; a rank looks so many times for each.
constexpr double polls_per_message = 5.0, message_bytes = 61'440.0;

/// What --validate_only predicts for the same parts, nodes and network.
double predicted_exposed_s(const ForecastFile& forecast, int nodes, const Network& network) {
  std::vector<double> bytes;
  for (const std::size_t numbers : forecast.part_numbers) {
    bytes.push_back(
        static_cast<double>(numbers * fcmnist::comm::wire_number_bytes(forecast.wire_type, sizeof(float))));
  }
  return fcmnist::plan::simulate_exchange(forecast.part_written_s, bytes, nodes,
                                          {network.bytes_per_s, network.latency_s});
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("Simulates steps on a cluster. Prints one line of JSON for each forecast, times in seconds.");
  std::vector<std::string> files;
  int nodes = 2, steps = 2;
  double gbit_s = 10.0, latency_us = 20.0;
  app.add_option("forecast", files, "files of fcmnist_mpi --forecast_file")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--nodes", nodes, "of the simulated cluster")->required()->check(CLI::Range(2, 4096));
  app.add_option("--gbit_s", gbit_s, "of a node in each direction; default 10")->check(CLI::PositiveNumber);
  app.add_option("--latency_us", latency_us, "between two nodes; default 20")->check(CLI::NonNegativeNumber);
  app.add_option("--steps", steps, "so many steps in a row; their mean is shown; default 2")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  std::vector<ForecastFile> forecasts;
  for (const std::string& file : files) forecasts.push_back(read_forecast(file));
  const Network network{gbit_s * 1e9 / 8, latency_us * 1e-6};
  std::vector<StepTimes> results;
  bool is_exact = true;
  run_cluster(nodes, network, message_bytes / network.bytes_per_s / polls_per_message, [&] {
    SimulatedRank rank;
    for (const ForecastFile& forecast : forecasts) {
      const StepTimes times = rank.simulate(forecast, steps);
      is_exact = is_exact && times.is_exact;
      if (rank.rank() == 0) results.push_back(times);
    }
  });
  for (std::size_t i = 0; i < files.size(); ++i) {
    const StepTimes& times = results.at(i);
    fmt::print(
        "{{\"forecast\": \"{}\", \"step_s\": {}, \"exposed_s\": {}, \"predicted_exposed_s\": {}, "
        "\"exchange_s\": {}, \"ring_s\": {}, \"allreduce_s\": {}}}\n",
        files[i], times.step_s, times.exposed_s, predicted_exposed_s(forecasts[i], nodes, network),
        times.exchange_s, times.ring_s, times.allreduce_s);
  }
  if (!is_exact) throw std::runtime_error("a sum over the simulated nodes has wrong numbers");
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "fcmnist_simulate: error: {}\n", error.what());
  return 1;
}
