#pragma once

#include <cstddef>

#include "data/dataset.hpp"
#include "setup/context.hpp"
#include "setup/settle.hpp"

namespace fcmnist::run {

// What a run allocates is known before it does so. Beyond the memory of a node, or the limit of its control group,
// the kernel would kill a rank without a word. All functions are collective, and throw CommError on all ranks.

///   node_bytes  what the ranks of the node that has the most need
void check_host_memory(const setup::Context& context, std::size_t node_bytes);
void check_training_memory(const setup::Context& context, const setup::Settled& settled);
///   config  with the network that scores
///   shape   of the data to score
void check_evaluation_memory(const setup::Context& context, const config::RunConfig& config,
                             const data::DatasetShape& shape);

}  // namespace fcmnist::run
