#pragma once

#include "config/command_line.hpp"
#include "core/error.hpp"

namespace fcmnist::train {

/// Carries out what the command line asks for, with or without MPI as the mode needs it. Prints errors;
/// returns the exit code of the process.
ExitCode run(const config::CommandLine& arguments);

}  // namespace fcmnist::train
