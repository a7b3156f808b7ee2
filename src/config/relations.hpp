#pragma once

#include <string>
#include <vector>

#include "config/given.hpp"
#include "config/keys.hpp"

namespace fcmnist::config {

/// Settles what several keys say together, after all of them were read:
///   - depth x hidden_size against hidden_sizes; batch_size against batch_size_per_replica; max_steps
///   (num_steps) against
///     num_epochs: what a higher layer chose replaces what a lower one chose
///   - eval_input reads the data of train_input unless it names its own
///   - combinations that make no sense are a UsageError with the place of the later key
/// Appends to `notes` what a reader of the file would not expect.
void settle_relations(const Given& given, Draft& draft, std::vector<std::string>& notes);

/// Checks what depends on how many replicas mpirun started (at least 1). Throws UsageError; only modes that
/// train care.
void check_world(const RunConfig& config, int replicas);

}  // namespace fcmnist::config
