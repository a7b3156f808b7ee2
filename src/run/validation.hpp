#pragma once

#include "core/error.hpp"
#include "setup/context.hpp"

namespace fcmnist::run {

/// --validate_only: says in the log how a run of this configuration lies on this world, or on the one that
/// --plan_ranks names, and how long a step takes. Throws what would stop the run before its first step, with the
/// exit code of the run; only a node that has too little memory is a UsageError. Writes and locks nothing.
/// Collective; all ranks throw the same errors.
void run_validation(const setup::Context& context);

/// What is said instead in the mode prepare_data.
UsageError nothing_to_validate();

}  // namespace fcmnist::run
