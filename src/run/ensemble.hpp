#pragma once

#include <string>

#include "data/dataset.hpp"
#include "data/set_identity.hpp"
#include "model/options.hpp"
#include "setup/context.hpp"

namespace fcmnist::run {

/// The network of a member, from the configuration in its checkpoint. Throws StoreError if it has another number of
/// classes.
///   file  its name, for messages
model::MlpOptions model_of_member(const std::string& config_yaml, const std::string& file, int classes);

/// Mode eval of several checkpoints: scores each of the context's ensemble, whatever its widths and its precision are,
/// and the ensemble. Every one is scored by all ranks; rank 0 has the mean. Writes <model_dir>/ensemble.h5, or if that
/// is there ensemble_<n>.h5, a file of predictions (FORMAT.md). Collective; all ranks throw the same errors.
///   shape, dataset, identity  what is scored; the last on rank 0
void run_ensemble(const setup::Context& context, const data::DatasetShape& shape,
                  const data::Dataset& dataset, const data::SetIdentity& identity);

}  // namespace fcmnist::run
