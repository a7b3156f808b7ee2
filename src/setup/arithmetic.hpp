#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "comm/communicator.hpp"
#include "kernels/half_support.hpp"
#include "model/precision.hpp"
#include "setup/context.hpp"
#include "setup/start_point.hpp"

namespace fcmnist::setup {

/// What multiplies numbers of a precision on the slowest rank: instructions for halves, or `emulated`: a
/// library, in float32. Collective.
kernels::HalfCompute compute_of(const comm::Communicator& world, model::Precision precision);

/// What is computed in: the precision of the checkpoint that is gone on from, or evaluated, unless the
/// configuration asks anew; else what it means on the slowest rank. Collective.
///   checkpoint  on rank 0; nullptr: none
model::Precision precision_for(const RunContext& context, const store::Checkpoint* checkpoint);

/// Settles config.model.precision. From here on it is in the manifest, and the log has said it. Collective.
void settle_precision(RunContext& context, const store::Checkpoint* checkpoint);
/// Of a training run, with its loss scaling: where none is given, that of the run that is gone on with.
void settle_arithmetic(RunContext& context, const StartPoint& start);

}  // namespace fcmnist::setup
