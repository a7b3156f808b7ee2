#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "data/epoch_plan.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::setup {

/// Where training stands after `step` steps, as a checkpoint says it. What only the loop knows is left out.
store::TrainState position_after(std::int64_t step, const data::EpochPlan& plan, std::uint64_t seed,
                                 std::string_view labels_sha256);

/// Throws unless a step means the same place in the same data as when the checkpoint was written: otherwise
/// this would be another run.
///   saved     the position in the checkpoint; its samples and labels are compared with those of `now`
///   data_dir  for the message of the DataError
///   replicas  that are here now, for the message of the UsageError
void check_same_position(const store::TrainState& saved, const store::TrainState& now,
                         const std::string& data_dir, int replicas);

}  // namespace fcmnist::setup
