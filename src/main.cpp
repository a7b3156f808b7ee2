#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "comm/launcher.hpp"
#include "config/command_line.hpp"
#include "core/error.hpp"
#include "run/run.hpp"

int main(int argc, char** argv) {
  using fcmnist::ExitCode;
  // A file size limit (ulimit -f) shall be an error with a message, not a death.
  std::signal(SIGXFSZ, SIG_IGN);
  // Before MPI starts only the launcher knows ranks; what all ranks would say alike, one says.
  const bool speaks = fcmnist::comm::launcher_rank() == 0;
  try {
    const auto arguments = fcmnist::config::parse_command_line(argc, argv);
    if (!arguments.text_to_print.empty()) {
      if (speaks) fmt::print("{}", arguments.text_to_print);
      return static_cast<int>(ExitCode::done);
    }
    // Nor shall a run end because nobody reads its log any more.
    std::signal(SIGPIPE, SIG_IGN);
    return static_cast<int>(fcmnist::run::run(arguments));
  } catch (const fcmnist::Error& error) {
    return static_cast<int>(fcmnist::run::refuse(error));
  } catch (const std::exception& error) {
    fmt::print(stderr, "fcmnist_mpi: error: {}\n", error.what());
    return static_cast<int>(ExitCode::communication);
  }
}
