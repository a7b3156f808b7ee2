#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "comm/communicator.hpp"
#include "kernels/half_support.hpp"
#include "model/options.hpp"
#include "train/run_context.hpp"
#include "train/start_point.hpp"

namespace fcmnist::train {

/// "float32", "bfloat16", "float16"
std::string_view name_of(model::Precision precision);

/// What the configuration means on a machine that can multiply bfloat16 so. Nothing is asked for: float32.
/// Mixed precision without a type: bfloat16 where there are instructions for it, else float32, since emulated
/// products are slower.
model::Precision precision_of(const model::MlpOptions& options, kernels::HalfCompute bfloat16);

/// What multiplies numbers of a precision on the slowest rank: instructions for halves, or `emulated`: a
/// library, in float32. Collective.
kernels::HalfCompute compute_of(const comm::Communicator& world, model::Precision precision);

/// "float32", "bfloat16 by AMX", "float16 emulated"
std::string describe(model::Precision precision, kernels::HalfCompute compute);

/// Whether a run asks for another precision than the one that its checkpoint was configured with. What is not
/// given asks for nothing.
bool asks_anew(const model::MlpOptions& now, const model::MlpOptions& checkpointed);

/// What is computed in: the precision of the checkpoint that is gone on from, or evaluated, unless the
/// configuration asks anew; else what it means on the slowest rank. Collective.
///   checkpoint  on rank 0; nullptr: none
model::Precision precision_for(const RunContext& context, const store::Checkpoint* checkpoint);

/// Settles config.model.precision. From here on it is in the manifest, and the log has said it. Collective.
void settle_precision(RunContext& context, const store::Checkpoint* checkpoint);
/// Of a training run.
void settle_precision(RunContext& context, const StartPoint& start);

}  // namespace fcmnist::train
