#pragma once

#include <string>
#include <string_view>

#include "kernels/half_support.hpp"
#include "model/options.hpp"

namespace fcmnist::model {

/// "float32", "bfloat16", "float16"
std::string_view name_of(Precision precision);

/// What the configuration means on a machine that can multiply bfloat16 so. Nothing is asked for: float32.
/// Mixed precision without a type: bfloat16 where there are instructions for it, else float32, since emulated
/// products are slower.
Precision precision_of(const MlpOptions& options, kernels::HalfCompute bfloat16);

/// The type of its numbers; not of float32.
kernels::HalfType half_type(Precision precision);

/// "float32", "bfloat16 by AMX", "float16 emulated"
std::string describe(Precision precision, kernels::HalfCompute compute);

/// Whether a run asks for another precision than the one that its checkpoint was configured with, or in
/// effect has. What is not given asks for nothing.
bool asks_anew(const MlpOptions& now, const MlpOptions& checkpointed);

}  // namespace fcmnist::model
