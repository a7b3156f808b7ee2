#pragma once

#include <cstdint>
#include <string_view>

#include "data/epoch_plan.hpp"
#include "setup/context.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::setup {

/// Where training stands after `step` steps: what a checkpoint says of it, but for what only the loop knows.
store::TrainState position_after(std::int64_t step, const data::EpochPlan& plan, std::uint64_t seed,
                                 std::string_view labels_sha256);

/// The same step must mean the same place in the same data, or the run that goes on is another one. Throws
/// DataError, UsageError.
void check_same_position(const RunContext& context, const store::TrainState& saved,
                         const store::TrainState& now);

}  // namespace fcmnist::setup
