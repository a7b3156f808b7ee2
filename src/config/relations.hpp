#pragma once

#include <string>
#include <vector>

#include "config/given.hpp"
#include "config/keys.hpp"

namespace fcmnist::config {

/// Settles what several keys say together, after all of them were read:
///   - depth x hidden_size against hidden_sizes, batch_size against batch_size_per_replica, max_steps
///     (num_steps) against num_epochs: a given key replaces a default, and the command line replaces the file
///   - eval_input reads the data of train_input unless it names its own
///   - the pipeline_stages of the file do not count when the command line chose data_parallel
///   - a combination that makes no sense is a UsageError with the place of the later key
/// Appends to `notes` what a reader of the file would not expect.
void settle_relations(const Given& given, Draft& draft, std::vector<std::string>& notes);

/// The stages of a world of so many ranks; ranks / stages is the number of replicas. It is 1 unless a run that trains
/// is to be layer_pipelined, and then, if pipeline_stages is auto: ranks / num_replicas where that is given,
/// else the smallest number above 1 that divides the ranks and is not larger than the number of layers (1 if
/// there is none). Throws UsageError when ranks = replicas x stages cannot be.
int stages_of(const RunConfig& config, int ranks);

/// Checks what depends on how many ranks mpirun started (at least 1). Throws UsageError. Only modes that
/// train are checked.
void check_world(const RunConfig& config, int ranks);

}  // namespace fcmnist::config
