// How fast a training step and its parts are, against what the machine could do and against a plain peer.
//   fcmnist_bench [--rounds=5] [--min_time=0.2] [--gemm=openblas|onednn] [--streams=1] [options of Google
//   Benchmark] mpirun -n 2 fcmnist_bench --benchmark_filter='step/.*/64' --benchmark_format=csv
// All ranks run the same measurements; rank 0 reports.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "bench/report.hpp"
#include "comm/launcher.hpp"
#include "comm/placement.hpp"
#include "comm/session.hpp"
#include "core/error.hpp"
#include "kernels/blas_threads.hpp"
#include "kernels/gemm.hpp"
#include "plan/made_up_data.hpp"

namespace fcmnist::bench {
namespace {

double number_after(std::string_view option, const std::string& argument) {
  const std::string text = argument.substr(option.size());
  std::size_t used = 0;
  double number = 0.0;
  try {
    number = std::stod(text, &used);
  } catch (const std::logic_error&) {  // no number, or too large a one
  }
  if (text.empty() || used < text.size()) {
    throw UsageError(fmt::format("{}: expected a number after {}", argument, option));
  }
  return number;
}

/// Takes our own options out of the arguments; the others are for Google Benchmark.
Settings take_settings(std::vector<char*>& arguments) {
  constexpr std::string_view rounds = "--rounds=", min_time = "--min_time=", streams = "--streams=";
  constexpr std::string_view openblas = "--gemm=openblas", onednn = "--gemm=onednn";
  Settings settings;
  std::erase_if(arguments, [&](const std::string& argument) {
    if (argument.starts_with(rounds)) {
      settings.rounds = static_cast<int>(number_after(rounds, argument));
    } else if (argument.starts_with(streams)) {
      settings.exchange_streams = static_cast<int>(number_after(streams, argument));
    } else if (argument.starts_with(min_time)) {
      settings.min_time_s = number_after(min_time, argument);
    } else if (argument == openblas || argument == onednn) {
      settings.gemm = argument == onednn ? kernels::GemmBackend::onednn : kernels::GemmBackend::openblas;
    } else {
      return false;
    }
    return true;
  });
  if (settings.rounds < 1 || settings.exchange_streams < 1 || !(settings.min_time_s > 0.0)) {
    throw UsageError("--rounds and --streams must be at least 1, --min_time more than 0 seconds");
  }
  if (!kernels::available(settings.gemm)) throw UsageError("this build has no oneDNN");
  return settings;
}

/// Returns whether all measurements succeeded. Collective.
bool run(const comm::Communicator& world, const Settings& settings, bool is_table) {
  const comm::Topology topology(world);
  kernels::set_blas_threads(1);
  model::MlpOptions model;
  model.num_classes = mnist_classes;
  model.input_products = model::InputProducts::sparse;  // for images with zeros
  const train::SharedDataset dataset = plan::made_up_data(topology, mnist_shape, model);
  const bool give_way = comm::oversubscribed(comm::gather_placement(topology));
  const Bench bench{&topology, settings, give_way, dataset.view()};
  if (topology.node_count() > 1) {
    add_network(bench);
  } else {
    for (const auto add_group :
         {add_peak, add_gemm, add_exchange, add_step, add_replica, add_reproducible, add_pipeline, add_save})
      add_group(bench);
  }
  add_check(bench);
  add_plan(bench);
  if (world.rank() != 0) {
    NoReport report;
    benchmark::RunSpecifiedBenchmarks(&report);
    return true;
  }
  Report report(is_table);
  benchmark::RunSpecifiedBenchmarks(&report);
  return report.all_succeeded();
}

}  // namespace
}  // namespace fcmnist::bench

int main(int argc, char** argv) {
  using namespace fcmnist;
  constexpr int failed = 1;
  const auto say = [](const std::exception& error) {
    fmt::print(stderr, "fcmnist_bench: error: {}\n", error.what());
  };
  try {
    std::vector<char*> arguments(argv, argv + argc);
    const bench::Settings settings = bench::take_settings(arguments);
    const bool is_table = std::ranges::count(arguments, std::string_view("--benchmark_format=csv")) > 0;
    std::string no_file = "--benchmark_out=";  // the last one counts
    if (comm::launcher_rank() != 0) arguments.push_back(no_file.data());
    int count = static_cast<int>(arguments.size());
    arguments.push_back(nullptr);
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
      return static_cast<int>(ExitCode::usage);
    }
    const comm::Session session;
    try {
      return bench::run(session.world(), settings, is_table) ? 0 : failed;
    } catch (const std::exception& error) {
      say(error);
      session.abort_all(ExitCode::communication);
    }
  } catch (const std::exception& error) {
    say(error);
    return static_cast<int>(ExitCode::usage);
  }
}
