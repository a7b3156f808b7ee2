#pragma once

#include <cstddef>

#include "core/error.hpp"
#include "data/dataset.hpp"
#include "setup/context.hpp"
#include "setup/settle.hpp"

namespace fcmnist::run {

// What a run allocates is known before it does so. Beyond the memory of a node, or the limit of its control group,
// the kernel would kill a rank without a word. All functions are collective, and throw CommError on all ranks.

///   node_bytes  what the ranks of the node that has the most need
void check_host_memory(const setup::Context& context, std::size_t node_bytes);
void check_training_memory(const setup::Context& context, const setup::Settled& settled);

/// What `action` returns. A trial of a sweep that does not fit into memory is refused, a UsageError, and the others go on.
template <class Action>
auto refused_if_too_large(const setup::Context& context, Action action) {
  try {
    return action();
  } catch (const Error& error) {
    const bool is_trial = context.common().shelf != nullptr;
    if (!is_trial || !error.agreed() || error.code() != ExitCode::communication) throw;
    throw UsageError(error.what()).as_agreed();
  }
}

///   config  with the network that scores
///   shape   of the data to score
void check_evaluation_memory(const setup::Context& context, const config::RunConfig& config,
                             const data::DatasetShape& shape);

}  // namespace fcmnist::run
