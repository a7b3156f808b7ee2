#pragma once

#include "setup/context.hpp"

namespace fcmnist::run {

/// --validate_only of a sweep: says of each trial what is left to do, what it needs and how long a step takes, and then
/// how long the whole takes. Of trials that differ only in numbers that take no time, such as seeds and learning
/// rates, one is timed. Collective; throws what would stop the sweep before its first trial, or UsageError if none of
/// the trials that are left would be trained. Writes nothing.
void describe_sweep(const setup::Context& context);

}  // namespace fcmnist::run
