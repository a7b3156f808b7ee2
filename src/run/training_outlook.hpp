#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "setup/context.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::run {

// What --validate_only says of one run, in rows of a name and a text.

template <class... Values>
void say_row(const setup::Context& context, const char* name, fmt::format_string<Values...> text,
             Values&&... values) {
  context.log().info("{:<18}{}", name, fmt::format(text, std::forward<Values>(values)...));
}

/// Calls `check`, and turns its CommError, which says that a node has too little memory, into a UsageError.
template <class Check>
void as_usage_error(Check check) {
  try {
    check();
  } catch (const Error& error) {
    if (!error.agreed() || error.code() != ExitCode::communication) throw;
    throw Error(ExitCode::usage, error.what()).as_agreed();
  }
}

/// The nodes of a planned world cannot be asked. So this says what would happen if they were like this host.
///   shared  bytes of the shared memory of a node
///   all     bytes of memory of a node
void warn_of_planned_memory(const setup::Context& context, std::size_t shared, std::size_t all);

/// Throws StoreError unless the weights are those of this model, by the check of the run itself.
///   features  numbers of a sample
void check_fits(const config::RunConfig& config, const store::Checkpoint& checkpoint, std::size_t features);

/// A training run that was only looked at.
struct TrainingOutlook {
  std::size_t rank_bytes = 0;    ///< memory of its own of the rank with the most, besides program and MPI
  std::size_t shared_bytes = 0;  ///< shared memory of the node with the most
  std::optional<double> step_s;  ///< nothing if it could not be predicted
  std::int64_t total_steps = 0;
};

/// Says how a training run would lie on the world and how long a step takes. Collective; throws what would stop the run,
/// the same on all ranks.
TrainingOutlook describe_training(const setup::Context& context);

}  // namespace fcmnist::run
