#pragma once

#include "config/command_line.hpp"
#include "core/error.hpp"

namespace fcmnist::run {

/// Carries out what the command line asks for, with or without MPI as the mode needs it. Prints errors;
/// returns the exit code of the process.
ExitCode run(const config::CommandLine& arguments);

/// Reports an error that every rank has found in its arguments: rank 0 prints it, and no rank ends before it
/// has. (A rank that ends with an error makes mpirun kill the others.) Returns the exit code.
ExitCode refuse(const Error& error);

}  // namespace fcmnist::run
